"""How the work of an update is divided and its gradients are summed: one share per process, or eight lanes that do not
depend on the number of processes.

Lanes fix the order of floating-point sums: within a lane pass after pass, over the lanes a fixed tree,
((0+1)+(2+3))+((4+5)+(6+7)). A process that has 8, 4, 2 or 1 adjacent lanes computes a subtree, so that one exchange of
gradients at the end of an update is enough. Two more things are fixed, since each changes the last bits: which samples
share a pass (`packing.py` packs each lane separately), and the number of threads of a matrix product.
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
    """Groups are assigned to `num_shares` shares by their slot; this rank processes the shares `mine`, in order."""

    num_shares: int
    mine: range

    @classmethod
    def by_rank(cls, rank: int, size: int) -> "Division":
        """One share per rank: work is split no finer than necessary."""
        return cls(size, range(rank, rank + 1))

    @classmethod
    def in_lanes(cls, rank: int, size: int) -> "Division":
        """Eight lanes over the largest power-of-two number of ranks available; the remaining ranks have none."""
        each = LANES // workers(size)
        return cls(LANES, range(rank * each, min((rank + 1) * each, LANES)))


class LaneTree:
    """Sums the gradients of this rank's lanes in pairs as they arrive; at most log2(lanes) partial sums are held."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, list[Tensor]]] = []
        """(number of lanes summed, one tensor per parameter), the largest first."""

    def add(self, gradients: list[Tensor]) -> None:
        """Adds the next lane's gradients, without copying them."""
        lanes = 1
        while self._waiting and self._waiting[-1][0] == lanes:
            _, before = self._waiting.pop()
            torch._foreach_add_(before, gradients)
            gradients, lanes = before, 2 * lanes
        self._waiting.append((lanes, gradients))

    def take(self) -> list[Tensor] | None:
        """The sum of all lanes so far, a power of two of them; None if there were none. Empties the tree."""
        assert len(self._waiting) <= 1, "the sum is taken when all lanes of the rank have been added"
        found = self._waiting[0][1] if self._waiting else None
        self._waiting.clear()
        return found

    def clear(self) -> None:
        self._waiting.clear()


def add_in_pairs(parts: Sequence[Tensor]) -> Tensor:
    """The sum of 1, 2, 4 or 8 tensors in the order of the tree's upper levels."""
    while len(parts) > 1:
        parts = [a + b for a, b in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


@contextmanager
def fixed_threads() -> Iterator[None]:
    """Sets one thread per process if OMP_NUM_THREADS is not set, as launchers of several processes do.

    A matrix product over two threads sums in another order than over one: gradients differ in their last bits.
    """
    before = torch.get_num_threads()
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
