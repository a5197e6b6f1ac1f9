"""A small set of combinations that holds every possible pair of choices on two axes: greedy, deterministic."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

Choice = dict[str, Any]
Pair = tuple[tuple[str, Any], tuple[str, Any]]

CANDIDATES = 10
"""Rows tried for each row taken; more make the cover smaller by a few rows."""


def pairwise_cover(axes: Mapping[str, Sequence[Any]], is_valid: Callable[[Choice], bool]) -> list[Choice]:
    """Valid rows, one choice an axis, that hold every pair of choices that a valid row can hold.

    Each row starts from a pair that is not held yet and takes, axis by axis in random order, the choice with the most
    new pairs. A pair that no row of some hundred can hold counts as impossible. Fixed seed.
    """
    random = np.random.default_rng(0)
    missing = set(_every_pair(axes))
    rows: list[Choice] = []
    while missing:
        pair = min(missing, key=repr)
        tried = [row for _ in range(CANDIDATES) if is_valid(row := _grown(axes, pair, missing, random, is_valid))]
        if not tried:
            missing.discard(pair)
            continue
        best = max(tried, key=lambda row: len(missing & pairs_of(row)))
        rows.append(best)
        missing -= pairs_of(best)
    return rows


def pairs_of(row: Choice) -> set[Pair]:
    return set(combinations(row.items(), 2))


def _every_pair(axes: Mapping[str, Sequence[Any]]) -> Iterator[Pair]:
    for (one, choices), (other, others) in combinations(axes.items(), 2):
        yield from (((one, a), (other, b)) for a in choices for b in others)


def _grown(
    axes: Mapping[str, Sequence[Any]],
    pair: Pair,
    missing: set[Pair],
    random: np.random.Generator,
    is_valid: Callable[[Choice], bool],
) -> Choice:
    row = dict(pair)
    order = {axis: number for number, axis in enumerate(axes)}

    def gain(axis: str, choice: Any) -> int:
        """New pairs of a choice with those made so far."""
        mine = (axis, choice)
        return sum(
            ((mine, other) if order[axis] < order[other[0]] else (other, mine)) in missing for other in row.items()
        )

    for axis in random.permutation([a for a in axes if a not in row]).tolist():
        choices = axes[axis]
        start = int(random.integers(len(choices)))
        row[axis] = max((*choices[start:], *choices[:start]), key=partial(gain, axis))
    row = {axis: row[axis] for axis in axes}
    if not is_valid(row):
        for axis in (a for a in axes if a not in dict(pair)):
            row[axis] = axes[axis][int(random.integers(len(axes[axis])))]
    return row
