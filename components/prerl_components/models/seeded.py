"""Random weights that follow from a seed alone, whatever was drawn in the process before."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def private_random(seed: int) -> Iterator[None]:
    """Weights are drawn on the CPU from this seed; torch's global generator is afterwards as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
