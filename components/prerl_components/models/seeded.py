"""Random weights that depend on a seed alone, not on earlier draws in the process."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def private_random(seed: int) -> Iterator[None]:
    """Seeds torch's global CPU generator inside the context and restores its state afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
