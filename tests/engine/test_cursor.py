"""Rows come in shuffled epochs, each row once an epoch, the same from any restart."""

import pytest

from prerl_spec.engine.batches.cursor import Cursor, draw_places, shares
from prerl_spec.engine.processes.streams import Streams

AT = Streams(1).of_step("refine", 1, 1)


def test_an_epoch_shows_every_row_once_and_the_next_in_another_order() -> None:
    cursor, seen = Cursor.start(), list[int]()
    for _ in range(6):
        places, cursor = draw_places(cursor, "train", 4, size=12, streams=AT)
        seen += places
    first, second = seen[:12], seen[12:]
    assert sorted(first) == sorted(second) == list(range(12))
    assert first != second
    assert cursor.at == {"train": (1, 12)}


def test_a_last_partial_batch_is_dropped() -> None:
    _, cursor = draw_places(Cursor.start(), "train", 8, size=12, streams=AT)
    places, cursor = draw_places(cursor, "train", 8, size=12, streams=AT)
    assert cursor.at == {"train": (1, 8)}
    assert len(places) == 8


def test_the_state_survives_json() -> None:
    _, cursor = draw_places(Cursor.start(), "train", 8, size=12, streams=AT)
    again = Cursor.from_json(cursor.to_json())
    assert draw_places(again, "train", 4, size=12, streams=AT) == draw_places(cursor, "train", 4, size=12, streams=AT)


def test_a_mixture_draws_by_weight_and_a_single_set_always() -> None:
    at = Streams(0).of_step("refine", 1, 1)
    drawn = shares({"math": 0.7, "code": 0.3}, 10_000, streams=at, refill=0)
    assert drawn.count("math") == pytest.approx(7_000, abs=140)  # three standard deviations
    assert shares({"math": 1.0}, 3, streams=at, refill=0) == ["math"] * 3
