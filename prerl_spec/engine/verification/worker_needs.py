"""What a verifier's worker process is given: the few variables that any program needs, and what the verifier declares."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prerl_spec.autoload import OFF
from prerl_spec.engine.verification.isolation import Isolation, isolation_level
from prerl_spec.registry.kinds.judging import Verifier, declared_environment, declares_network
from prerl_spec.registry.nested_components import nested_components

ALWAYS = (
    "PATH",
    "LANG",
    "TZ",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "VIRTUAL_ENV",
    "PYTHONHOME",
    "PYTHONHASHSEED",
    "CUDA_VISIBLE_DEVICES",
)
"""Variables that every worker gets if they are set, beside those that begin with LC_."""


@dataclass(frozen=True)
class WorkerNeeds:
    """`WorkerNeeds(Isolation.NAMESPACES, {"PATH": "/bin"}, {"HF_HOME": "/models"}, uses_network=False, memory_bytes=2**31)`:
    the level, the variables that any worker gets, those that the verifier declares."""

    level: Isolation
    always: Mapping[str, str]
    declared: Mapping[str, str]
    uses_network: bool
    memory_bytes: int

    def environment(self, folder: str) -> dict[str, str]:
        """The worker's variables; HOME and TMPDIR lie in its private `folder`, unless the verifier declares them."""
        own = {"HOME": os.path.join(folder, "home"), "TMPDIR": os.path.join(folder, "tmp")}
        return {**self.always, **own, **self.declared}


def needs_of(verifier: Verifier, level: Isolation | None = None) -> WorkerNeeds:
    """What the verifier, and those in its slots, declare; at the strongest level that the machine allows, or at `level`."""
    always = {name: value for name, value in os.environ.items() if name in ALWAYS or name.startswith("LC_")}
    return WorkerNeeds(
        level=isolation_level() if level is None else level,
        always={**always, **_of_the_interpreter()},
        declared={name: os.environ[name] for name in environment_of(verifier) if name in os.environ},
        uses_network=network_of(verifier),
        memory_bytes=verifier.memory_bytes,
    )


def environment_of(verifier: Any) -> tuple[str, ...]:
    """The variables that the verifier and those in its slots declare, each once, in order."""
    parts = nested_components(verifier, "")
    return tuple(sorted({name for _, part in parts if part.kind == "verifier" for name in declared_environment(part)}))


def network_of(verifier: Any) -> bool:
    """Whether the verifier, or one in its slots, declares that it uses the network."""
    return any(part.kind == "verifier" and declares_network(part) for _, part in nested_components(verifier, ""))


def _of_the_interpreter() -> dict[str, str]:
    """The trainer's module path (with -P: without the worker's working directory), no backends that torch would load by
    itself, and one thread per library: the thread pools of numeric libraries would fill a worker's address space on a
    machine with many cores."""
    path = os.pathsep.join(p or os.getcwd() for p in sys.path)
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {"PYTHONPATH": path, **OFF, **threads}
