"""Further processes of this program, started by one that waits for them."""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_DIE_WITH_PARENT = 1
"""PR_SET_PDEATHSIG of prctl(2)."""


def command_line(words: Sequence[str]) -> list[str]:
    """The command `prerl-spec WORDS` by this interpreter; with `module_path` in its environment, from the same code."""
    return [sys.executable, "-P", "-m", "prerl_spec", *words]


def module_path() -> str:
    """The module search path of this process, for PYTHONPATH; with -P, a child does not add its working directory."""
    return os.pathsep.join(p or os.getcwd() for p in sys.path)


def die_with_parent() -> None:
    """In a new child: kills it when its parent exits. None may keep writing to a run folder that the next run can take."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
