"""Rows come in shuffled epochs, each row once an epoch, the same from any restart."""

import pytest

from prerl_spec.engine.batches.cursor import Cursor, draw_places, shares


def test_an_epoch_shows_every_row_once_and_the_next_in_another_order() -> None:
    cursor, seen = Cursor.start(), list[int]()
    for _ in range(6):
        places, cursor = draw_places(cursor, "train", 4, size=12, seed=1)
        seen += places
    first, second = seen[:12], seen[12:]
    assert sorted(first) == sorted(second) == list(range(12))
    assert first != second
    assert cursor.at == {"train": (1, 12)}


def test_a_last_partial_batch_is_dropped() -> None:
    _, cursor = draw_places(Cursor.start(), "train", 8, size=12, seed=1)
    places, cursor = draw_places(cursor, "train", 8, size=12, seed=1)
    assert cursor.at == {"train": (1, 8)}
    assert len(places) == 8


def test_the_state_survives_json() -> None:
    _, cursor = draw_places(Cursor.start(), "train", 8, size=12, seed=1)
    again = Cursor.from_json(cursor.to_json())
    assert draw_places(again, "train", 4, size=12, seed=1) == draw_places(cursor, "train", 4, size=12, seed=1)


def test_a_mixture_draws_by_weight_and_a_single_set_always() -> None:
    arguments = {"seed": 0, "phase": "refine", "global_step": 1, "refill": 0}
    drawn = shares({"math": 0.7, "code": 0.3}, 10_000, **arguments)  # type: ignore[arg-type]
    assert drawn.count("math") == pytest.approx(7_000, abs=140)  # three standard deviations
    assert shares({"math": 1.0}, 3, **arguments) == ["math"] * 3  # type: ignore[arg-type]
