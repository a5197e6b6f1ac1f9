"""Which of several processes this one is, and what a launcher has told it; asked before anything that would join them is
loaded."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

RANK_VARIABLES = ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")
"""Those that Accelerate looks at: torchrun's, and those of MPI's launchers."""

FOLDER = "PRERL_SPEC_RUN_FOLDER"
"""The run folder that `launch` holds for its processes."""
VOICES = "PRERL_SPEC_VOICES"
"""A folder for their last words: of several messages about one failure, `launch` shows the one that tells the cause."""


def rank() -> int:
    return int(next((os.environ[name] for name in RANK_VARIABLES if name in os.environ), "0"))


def is_main() -> bool:
    """Whether this is the process that shows the run and writes files: rank 0, or the only one."""
    return rank() == 0


def is_one_of_several() -> bool:
    """Whether some launcher, ours or a cluster's, has started this process among others."""
    return any(name in os.environ for name in RANK_VARIABLES)


def tells_findings() -> bool:
    """Whether this process says what compiling finds: the main one, unless `launch` has compiled, and said it, before."""
    return is_main() and VOICES not in os.environ


def held_folder() -> Path | None:
    """The run folder, where `launch` has taken it."""
    return Path(os.environ[FOLDER]) if FOLDER in os.environ else None


@contextmanager
def last_words(*, consequence: bool = False) -> Iterator[TextIO]:
    """Where to write why a command fails: stderr, or a file for `launch`. A `consequence` is shown only where no other
    process names a cause."""
    if VOICES not in os.environ:
        yield sys.stderr
        return
    with words_file(Path(os.environ[VOICES]), rank(), consequence=consequence).open("a", encoding="utf-8") as file:
        yield file


def words_file(folder: Path, of_rank: int, *, consequence: bool) -> Path:
    return folder / f"{of_rank}.{'consequence' if consequence else 'cause'}"
