"""Detects the hardware of this machine without torch: cores, memory, GPUs."""

import csv
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


@dataclass(frozen=True)
class Gpu:
    """One accelerator, by its driver's name: `Gpu("NVIDIA H100 80GB HBM3", 85520809984)`.

    `bf16_flops` is its peak a second in dense bfloat16, `bandwidth` its memory's bytes a second; None: looked up by the name.
    """

    name: str
    memory_bytes: int
    bf16_flops: float | None = None
    bandwidth: float | None = None


@dataclass(frozen=True)
class Hardware:
    """A machine; `cores` is 0 where they are not known, as of one that is only named."""

    cores: int
    memory_bytes: int | None
    gpus: tuple[Gpu, ...] = ()
    is_named: bool = False
    """Whether it was only named, `plan --on`, and is not the machine that plans."""

    @property
    def words(self) -> str:
        """Human-readable summary: "2 cores, 15.5 GiB of memory, no GPU"."""
        if self.is_named and self.gpus:
            each = self.gpus[0]
            return f"{len(self.gpus)} x {each.name} ({each.memory_bytes / 2**30:.0f} GiB each), named by --on"
        memory = "unknown memory" if self.memory_bytes is None else f"{self.memory_bytes / 2**30:.1f} GiB of memory"
        cards = ", ".join(f"{g.name} ({g.memory_bytes / 2**30:.0f} GiB)" for g in self.gpus) or "no GPU"
        return f"{self.cores} core{'s' if self.cores != 1 else ''}, {memory}, {cards}"


def detect_hardware() -> Hardware:
    """The cores and memory available to this process, and the GPUs visible under CUDA_VISIBLE_DEVICES."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Hardware(cores, _memory_bytes(), _gpus())


def _memory_bytes() -> int | None:
    try:
        installed = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return None
    limits = [int(text) for file in _CGROUP_LIMITS if file.is_file() and (text := file.read_text().strip()).isdigit()]
    return min([installed, *limits])


def _gpus() -> tuple[Gpu, ...]:
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all") in ("", "-1") or shutil.which("nvidia-smi") is None:
        return ()
    query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        listing = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    rows = [row for row in csv.reader(listing.splitlines(), skipinitialspace=True) if len(row) == 2]
    cards = [Gpu(name, int(mebibytes) << 20) for name, mebibytes in rows if mebibytes.isdigit()]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return tuple(cards if visible is None else cards[: len(visible.split(","))])
