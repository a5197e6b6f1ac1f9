"""How many cores sampling leaves free for other work."""

import os

import torch


def spare_cores(device: torch.device) -> int:
    """Cores of this process's share of the machine that are idle while it samples: on a CPU those for which torch has no
    thread, else all but the one that drives the device.

    A thread of a parallel operation that has to share its core keeps all others waiting: work beside sampling on a core that is
    not free costs more than it saves (benchmarks/verdict_overlap.py).
    """
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    threads = torch.get_num_threads() if device.type == "cpu" else 1
    return max(0, len(os.sched_getaffinity(0)) // processes - threads)
