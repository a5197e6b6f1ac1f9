"""How far a verifier's worker is kept from everything else: the levels, what each promises, which this machine allows.

The level is found by trying, never from a version: containers and administrators forbid what a kernel could do.
"""

import shutil
import subprocess
import sys
import tempfile
from enum import StrEnum
from functools import cache

from prerl_spec.engine.verification import confinement

SECONDS_TO_TRY = 30.0


class Isolation(StrEnum):
    """From the strongest to the weakest."""

    NAMESPACES = "namespaces"
    """A PID, IPC, network and mount namespace of its own."""
    LANDLOCK = "landlock"
    """The kernel refuses writes and, as it is newer, connections and signals."""
    PROCESS = "process"
    """A process with a clean environment and limits, killed with all its descendants."""


class Promise(StrEnum):
    """What a worker cannot do, whatever its verifier's code tries: `doctor` prints the words."""

    ENVIRONMENT = "sees no variable that it has not declared"
    REPLIES = "answers for no item but its current one"
    ENDS = "leaves no process behind"
    FILES = "writes to its own temporary folder alone"
    MEMORY = "cannot look into other processes"
    SIGNALS = "cannot signal other processes"
    TCP = "has no TCP connections"
    NETWORK = "has no network"


def promises(level: Isolation) -> frozenset[Promise]:
    """What a worker of this level is kept from on this kernel. A verifier that declares `uses_network` has it."""
    found = {Promise.ENVIRONMENT, Promise.REPLIES}
    if sys.platform != "linux":
        return frozenset(found)
    found |= {Promise.ENDS}
    if level is Isolation.NAMESPACES:
        found |= {Promise.FILES, Promise.MEMORY, Promise.SIGNALS, Promise.TCP, Promise.NETWORK}
    if level is Isolation.LANDLOCK:
        abi = confinement.landlock_abi()
        found |= {Promise.MEMORY}
        found |= {p for p, least in ((Promise.FILES, 3), (Promise.TCP, 4), (Promise.SIGNALS, 6)) if abi >= least}
    return frozenset(found)


@cache
def isolation_level() -> Isolation:
    """The strongest level that this process may give to its workers."""
    return next((level for level in Isolation if why_refused(level) is None), Isolation.PROCESS)


@cache
def why_refused(level: Isolation) -> str | None:
    """Why this machine does not allow a level, None if it does."""
    if level is Isolation.PROCESS:
        return None
    if sys.platform != "linux":
        return "it needs Linux"
    folder = tempfile.mkdtemp(prefix="prerl-verifier-")
    command = [sys.executable, "-I", "-S", confinement.__file__, level, folder]
    try:
        tried = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_TO_TRY, check=False)
    except subprocess.TimeoutExpired:
        return f"no answer after {SECONDS_TO_TRY:g} s"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    lines = tried.stderr.strip().splitlines()
    return None if tried.returncode == 0 else lines[-1] if lines else f"exit code {tried.returncode}"
