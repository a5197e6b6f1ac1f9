"""Which of the processes that a launcher started this one is; asked before anything that would join them is loaded."""

import os

RANK_VARIABLES = ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")
"""Those that Accelerate looks at: torchrun's, and those of MPI's launchers."""


def is_main() -> bool:
    """Whether this is the process that talks, takes folders and writes files: rank 0, or the only one."""
    return next((os.environ[name] for name in RANK_VARIABLES if name in os.environ), "0") == "0"
