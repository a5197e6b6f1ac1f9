"""The least coverage that equal checkpoints can have, from all outcomes with their probabilities."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from benchmarks.coverage import MIXES, Case
from benchmarks.coverage_limit import ALLOWED, LIKELY, at_least, least_coverage

ROOT = Path(__file__).parent.parent.parent
PAGE = runpy.run_path(str(ROOT / "docs" / "write_intervals.py"))


def test_three_of_three_take_more_than_seven_per_cent_and_four_of_four_less() -> None:
    def most(up: int, down: int) -> float:
        return max(float(np.dot(binom.pmf(np.arange(31), 30, p), at_least(30, up, down))) for p in LIKELY)

    assert 100 * most(3, 0) == pytest.approx(PAGE["THREE_OF_THREE"], abs=0.05)
    assert most(3, 0) > ALLOWED > most(4, 0)
    assert most(4, 1) > ALLOWED


def test_outcomes_are_counted_either_way_round() -> None:
    """Four of four: one in eight; six with at most one against: 7 of 64 either way, as (5, 1) has five up."""
    assert at_least(30, 4, 0)[[3, 4, 5]] == pytest.approx([0.0, 1 / 8, 1 / 16])
    assert at_least(30, 5, 1)[[4, 5, 6]] == pytest.approx([0.0, 1 / 16, 14 / 64])


def test_where_no_question_differs_zero_is_always_covered_and_less_where_more_do() -> None:
    covered = [least_coverage(30, differing) for differing in (0.0, 0.03, 0.1)]
    assert covered[0] == 1.0
    assert covered == sorted(covered, reverse=True)
    assert covered[2] < 0.99


@pytest.mark.parametrize("pairing", ["same", "redrawn"])
def test_how_likely_a_question_is_to_differ_is_what_is_drawn(pairing: str) -> None:
    case = Case(MIXES[1], 500, 4, passes=True, pairing=pairing)
    first, second = case.draw(np.random.default_rng(1), 400)
    # 200,000 questions: a standard error of 0.0007.
    assert case.differing() == pytest.approx(float((first != second).mean()), abs=0.003)


def test_no_measured_coverage_lies_below_the_least_there_can_be() -> None:
    rows = [row for row in json.loads(PAGE["COVERAGE"].read_text(encoding="utf-8"))["rows"] if "limit" in row]
    assert sum(row["limit"] > PAGE["MOST"] for row in rows) > 20
    # 2,000 benchmarks: at 99 % a standard error of 0.22 points.
    assert all(row["shipped"] > row["limit"] - 0.7 for row in rows)
