"""The rank of this process and what its launcher passes on, read from the environment before torch is loaded."""

import os
from pathlib import Path

RANK_VARIABLES = ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")
"""The variables that Accelerate reads: torchrun's, and those of MPI launchers."""

FOLDER = "PRERL_SPEC_RUN_FOLDER"
"""The run folder that `launch` has locked for its processes."""
ERRORS = "PRERL_SPEC_ERRORS"
"""Folder of the workers' error messages: of several about one failure, `launch` prints the one that names the cause."""


def rank() -> int:
    return int(next((os.environ[name] for name in RANK_VARIABLES if name in os.environ), "0"))


def is_main() -> bool:
    """Whether this is the process that displays progress and writes files: rank 0, or the only one."""
    return rank() == 0


def is_one_of_several() -> bool:
    """Whether a launcher, ours or a cluster's, has started this process as one of several."""
    return any(name in os.environ for name in RANK_VARIABLES)


def reports_findings() -> bool:
    """Whether this process prints compiler findings: the main one, unless `launch` has compiled and printed them before."""
    return is_main() and ERRORS not in os.environ


def locked_folder() -> Path | None:
    """The run folder that `launch` has locked, None without a launcher."""
    return Path(os.environ[FOLDER]) if FOLDER in os.environ else None
