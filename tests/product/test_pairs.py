"""The generator of pairwise covers, checked against a brute-force walk."""

from itertools import combinations, product
from typing import Any

from tests.product.pairs import pairs_of, pairwise_cover

AXES: dict[str, tuple[Any, ...]] = {"a": (1, 2, 3), "b": ("x", "y"), "c": (True, False), "d": (0, 1, 2, 3)}


def is_valid(row: dict[str, Any]) -> bool:
    return not (row["a"] == 1 and row["b"] == "y")


def test_every_pair_that_a_valid_row_can_hold_is_held_by_far_fewer_rows() -> None:
    every = [row for choice in product(*AXES.values()) if is_valid(row := dict(zip(AXES, choice, strict=True)))]
    rows = pairwise_cover(AXES, is_valid)
    assert set().union(*map(pairs_of, rows)) == set().union(*map(pairs_of, every))
    assert all(map(is_valid, rows))
    assert len(rows) < len(every) / 2
    assert rows == pairwise_cover(AXES, is_valid)


def test_a_row_holds_a_pair_for_each_two_axes() -> None:
    assert len(pairs_of(dict.fromkeys(AXES, 0))) == len(list(combinations(AXES, 2)))
