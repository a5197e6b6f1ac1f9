"""How the work of an update is divided, and how its gradients are added up: a share for each process, or eight lanes that
stay the same however many processes there are.

In lanes a sum of floating-point numbers has one order: within a lane its passes one after another, over the lanes a fixed
tree, ((0+1)+(2+3))+((4+5)+(6+7)). A process that works on 8, 4, 2 or 1 neighbouring lanes makes a subtree of it, so that
one exchange of gradients at the end of an update is enough. Fixed as well, since each changes last bits: which samples share
a pass (`packing.py` fills each lane's passes by itself), and the threads that a matrix product is split over.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from prerl_spec.compiler.estimates.lanes import LANES, workers


@dataclass(frozen=True)
class Division:
    """Groups are dealt to `num_shares` shares by their slot, and this rank works on the shares `mine`, in order."""

    num_shares: int
    mine: range

    @classmethod
    def by_rank(cls, rank: int, size: int) -> "Division":
        """One share a rank: no work is split finer than it has to be."""
        return cls(size, range(rank, rank + 1))

    @classmethod
    def in_lanes(cls, rank: int, size: int) -> "Division":
        """Eight lanes over the largest power of two of ranks that is not more than there are; other ranks have none."""
        each = LANES // workers(size)
        return cls(LANES, range(rank * each, min((rank + 1) * each, LANES)))


class LaneTree:
    """The gradients of this rank's lanes, added in pairs as they come; at most log2 of them wait for their neighbour."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, list[Tensor]]] = []
        """(lanes in it, one tensor a parameter), the largest first."""

    def add(self, gradients: list[Tensor]) -> None:
        """The next lane's; taken over, not copied."""
        lanes = 1
        while self._waiting and self._waiting[-1][0] == lanes:
            _, before = self._waiting.pop()
            torch._foreach_add_(before, gradients)
            gradients, lanes = before, 2 * lanes
        self._waiting.append((lanes, gradients))

    def take(self) -> list[Tensor] | None:
        """The sum of all lanes so far, a power of two of them; None where there was none. Empty afterwards."""
        assert len(self._waiting) <= 1, "lanes are added up when all of a rank's are there"
        found = self._waiting[0][1] if self._waiting else None
        self._waiting.clear()
        return found

    def clear(self) -> None:
        self._waiting.clear()


def add_in_pairs(parts: Sequence[Tensor]) -> Tensor:
    """The sum of 1, 2, 4 or 8 tensors as the upper part of the tree."""
    while len(parts) > 1:
        parts = [a + b for a, b in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


@contextmanager
def fixed_threads() -> Iterator[None]:
    """One thread a process where OMP_NUM_THREADS says nothing, as the launchers of several processes have it.

    A matrix product over two threads adds up in another order than over one: gradients differ in their last bits.
    """
    before = torch.get_num_threads()
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
