"""A part of an evaluation stands for the whole: answers for every question, and the seconds that were left out."""

import time
from collections.abc import Sequence
from typing import Any

from prerl_spec.engine.inspect.partial_evaluation import PartialEvaluation, spread
from prerl_spec.types import Decoding, Generation, Request

PAUSE = 0.02


class Site:
    """Takes its time, and answers with the place of what was asked."""

    def __init__(self) -> None:
        self.asked: list[Request] = []

    def generate(self, requests: Sequence[Request], decoding: Decoding) -> list[list[Generation]]:
        self.asked += requests
        time.sleep(PAUSE)
        return [[Generation(r.context, (0.0,), "eos") for _ in r.seeds] for r in requests]

    def continuation_logps(self, pairs: Sequence[Any]) -> list[tuple[float, bool]]:
        return [(float(p[0][0]), True) for p in pairs]


def test_a_part_is_drawn_and_every_question_gets_its_number_of_answers() -> None:
    site: Any = Site()
    small = PartialEvaluation(site, responses=16)
    requests = [Request((n,), (1, 2, 3, 4)) for n in range(40)]
    begin = time.perf_counter()
    drawn = small._generate(requests, Decoding(max_new_tokens=4))
    taken = time.perf_counter() - begin
    assert [r.context for r in site.asked] == [(0,), (10,), (20,), (30,)]
    assert [len(g) for g in drawn] == [4] * 40
    assert [g[0].tokens for g in drawn[::10]] == [(0,), (10,), (20,), (30,)]
    assert (small.asked, small.of) == (4, 40)
    assert 9 * PAUSE <= small.left_out_seconds <= 9 * taken


def test_what_fits_whole_is_asked_whole() -> None:
    site: Any = Site()
    small = PartialEvaluation(site, responses=64)
    drawn = small._generate([Request((n,), (1,)) for n in range(5)], Decoding(max_new_tokens=4))
    assert [g[0].tokens for g in drawn] == [(n,) for n in range(5)]
    assert small.left_out_seconds == 0.0
    assert small._continuation_logps([((n,), (0,)) for n in range(3)]) == [(0.0, True), (1.0, True), (2.0, True)]
    assert small._generate([], Decoding(max_new_tokens=4)) == []


def test_a_spread_is_even_and_never_more_than_there_is() -> None:
    assert spread(10, 3) == [0, 3, 6]
    assert spread(2, 5) == [0, 1]
    assert spread(0, 5) == []
