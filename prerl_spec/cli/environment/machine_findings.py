"""Findings about the machine: system, memory, GPUs, user namespaces, isolation of verifiers. Without torch."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from prerl_spec.compiler.estimates.prerequisites import is_installed, torch_can_use_gpus
from prerl_spec.compiler.hardware import Hardware, detect_hardware
from prerl_spec.engine.verification.isolation import Isolation, Promise, isolation_level, promises, why_refused

SCARCE_BYTES = 2 << 30
"""Below this, not even the smallest shipped spec trains: torch and its worker processes need it."""

SYSTEMS = {
    "Linux": None,
    "Darwin": "use Linux for the vLLM samplers and user namespaces; everything else runs on macOS",
}


class Finding(NamedTuple):
    """One line of the report: `Finding("torch", "not installed; wanted <2.16,>=2.11", "pip install 'torch<2.16,>=2.11'")`.

    `hint` is a command or an instruction, None where nothing is missing. Only specs that use an `optional` part
    need it.
    """

    what: str
    state: str
    hint: str | None = None
    optional: bool = False


def machine_findings() -> Iterator[Finding]:
    """Findings about Python, system, cores, memory, GPUs, user namespaces and what verifiers are kept from."""
    new_enough = sys.version_info >= (3, 11)
    yield Finding("python", platform.python_version(), None if new_enough else "install Python 3.11 or newer")
    yield _system(platform.system(), platform.machine())
    hardware = detect_hardware()
    yield Finding("machine", hardware.words)
    yield _memory(free_bytes())
    yield _gpus(hardware, torch_can_use_gpus())
    yield _namespaces(Path("/proc"))
    yield _isolation(isolation_level())


def _system(name: str, machine: str) -> Finding:
    hint = SYSTEMS.get(name, "use Linux: this system can validate and plan specs, but not run them")
    return Finding("system", f"{name} {machine}", hint, optional=name in SYSTEMS)


def free_bytes() -> int | None:
    """Memory in bytes available to new processes, as the kernel estimates it; None where it provides no estimate."""
    file = Path("/proc/meminfo")
    lines = file.read_text(encoding="ascii").splitlines() if file.is_file() else []
    found = [int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")]
    return found[0] if found else None


def _memory(free: int | None) -> Finding:
    if free is None:
        return Finding("free memory", "unknown")
    hint = "close other programs, or use a machine with more memory" if free < SCARCE_BYTES else None
    return Finding("free memory", f"{free / 2**30:.1f} GiB", hint)


def _gpus(hardware: Hardware, torch_can: bool) -> Finding:
    if not hardware.gpus:
        return Finding("gpu", "none: runs use the CPU")
    words = ", ".join(gpu.name for gpu in hardware.gpus)
    if torch_can or not is_installed("torch"):
        return Finding("gpu", words)
    return Finding("gpu", f"{words}; the installed torch is a CPU-only build", "install a CUDA build of torch")


def _namespaces(proc: Path) -> Finding:
    """Whether this user may create a user namespace, found by creating one."""
    what = "user namespaces"
    if (program := shutil.which("unshare")) is None:
        return Finding(what, "unknown: `unshare` is not installed", "install util-linux", optional=True)
    tried = subprocess.run([program, "--user", "true"], capture_output=True, text=True, timeout=10, check=False)
    if tried.returncode == 0:
        return Finding(what, "allowed")
    why = tried.stderr.strip().rpartition(": ")[2] or "refused"
    switches = {
        "sys/kernel/unprivileged_userns_clone": ("0", "sysctl -w kernel.unprivileged_userns_clone=1"),
        "sys/user/max_user_namespaces": ("0", "sysctl -w user.max_user_namespaces=15000"),
        "sys/kernel/apparmor_restrict_unprivileged_userns": (
            "1",
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
    }
    hints = [hint for file, (off, hint) in switches.items() if _contains(proc / file, off)]
    return Finding(
        what, f"not allowed: {why}", hints[0] if hints else "ask the administrator of this machine", optional=True
    )


def _isolation(level: Isolation) -> Finding:
    """What a verifier's worker cannot do at the level found, what it still can, and what would give the strongest level."""
    what, kept = "isolation of verifiers", promises(level)
    implied = {Promise.TCP} if Promise.NETWORK in kept else set()
    state = f"{level}: a worker {', '.join(p for p in Promise if p in kept - implied)}"
    if level is Isolation.NAMESPACES:
        return Finding(what, state)
    state += f"; not that it {', '.join(p for p in Promise if p not in kept)} ({why_refused(Isolation.NAMESPACES)})"
    hint = "allow user namespaces; in a container, as root: --cap-add SYS_ADMIN --security-opt apparmor=unconfined"
    return Finding(what, state, hint if sys.platform == "linux" else "use Linux", optional=True)


def _contains(file: Path, value: str) -> bool:
    return os.access(file, os.R_OK) and file.read_text(encoding="ascii").strip() == value
