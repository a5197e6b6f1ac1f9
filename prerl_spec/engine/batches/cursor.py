"""The data cursor: a position in each data set's shuffled epochs, as plain state that a checkpoint can hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from prerl_spec.engine.processes.streams import StepStreams
from prerl_spec.types import Index


@dataclass(frozen=True)
class Cursor:
    """By data set: (epoch, number of its rows already drawn). `Cursor({"train": (0, 128)})`."""

    at: Mapping[str, tuple[int, int]]

    @classmethod
    def start(cls) -> "Cursor":
        return cls({})

    def to_json(self) -> dict[str, Any]:
        return {name: list(where) for name, where in self.at.items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Sequence[int]]) -> "Cursor":
        return cls({name: (int(w[0]), int(w[1])) for name, w in data.items()})


@lru_cache(maxsize=8)
def epoch_order(seed: int, size: int) -> Index:
    """The shuffled order of an epoch: an independent permutation for every seed."""
    return np.random.Generator(np.random.Philox(seed)).permutation(size).astype(np.int64)


def draw_places(cursor: Cursor, name: str, count: int, *, size: int, streams: StepStreams) -> tuple[list[int], Cursor]:
    """The next `count` row indices of a data set with `size` rows. The last partial batch of an epoch is dropped.

    `count` must not exceed `size`; `check_sizes` reports this to the user.
    """
    assert 0 <= count <= size
    epoch, position = cursor.at.get(name, (0, 0))
    if position + count > size:
        epoch, position = epoch + 1, 0
    places = epoch_order(streams.order(name, epoch), size)[position : position + count]
    return places.tolist(), Cursor({**cursor.at, name: (epoch, position + count)})


def shares(mixture: Mapping[str, float], count: int, *, streams: StepStreams, refill: int) -> list[str]:
    """The data set of each of `count` slots: independent draws by weight, the same on every rank."""
    names = list(mixture)
    if len(names) == 1:
        return names * count
    weights = np.array([mixture[n] for n in names])
    return [names[i] for i in streams.mixture(refill).choice(len(names), size=count, p=weights / weights.sum())]
