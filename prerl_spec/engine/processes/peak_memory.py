"""Peak memory of this process since the last reset: resident memory on a CPU, device memory on a GPU."""

import sys
from pathlib import Path

import torch

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def reset_peak(device: torch.device) -> None:
    """Resets the peak. Where the kernel cannot do so (other than Linux), the peak is that of the whole process."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif _CLEAR.exists():
        _CLEAR.write_text("5")


def peak_bytes(device: torch.device) -> int:
    """Peak in bytes; on a GPU torch's peak reservation plus other memory in use (driver context, other processes)."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        beside = total - free - torch.cuda.memory_reserved(device)
        return torch.cuda.max_memory_reserved(device) + beside
    if _STATUS.exists():
        return resident_bytes("VmHWM")
    import resource  # not on every system

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most << 10


def resident_bytes(key: str = "VmRSS") -> int:
    """A value of /proc/self/status in bytes: VmRSS is current, VmHWM the peak."""
    lines = _STATUS.read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(key))
