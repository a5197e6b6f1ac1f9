"""Paired differences: their corners and bounds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prerl_spec.statistics.intervals import mean_interval
from prerl_spec.statistics.paired import paired_interval, paired_p_value

SHARES = st.sampled_from([0.0, 0.25, 0.5, 1.0])


@given(st.lists(st.tuples(SHARES, SHARES), min_size=1, max_size=20))
def test_bounds_hold_the_difference_and_change_sign_with_the_order(pairs: list[tuple[float, float]]) -> None:
    first, second = map(list, zip(*pairs, strict=True))
    value, low, high = paired_interval(first, second)
    assert -1.0 <= low <= value <= high <= 1.0
    assert paired_interval(second, first) == pytest.approx((-value, -high, -low), abs=1e-12)


def test_many_questions_leave_students_interval_of_the_differences() -> None:
    first, second = np.random.default_rng(6).beta(5, 5, size=(2, 500))
    _, low, high = paired_interval(first.tolist(), second.tolist())
    _, below, above = mean_interval((second - first).tolist())
    assert (low, high) == pytest.approx((below, above), abs=0.03 * (above - below))


def test_what_all_questions_share_cancels() -> None:
    """Questions from 0 to .9 in two arms .05 apart but for noise of .01: the interval knows the noise alone."""
    first = [index / 100 for index in range(90)]
    second = [share + 0.05 + (0.01 if index % 2 else -0.01) for index, share in enumerate(first)]
    value, low, high = paired_interval(first, second)
    assert value == pytest.approx(0.05)
    assert high - low < 0.01


def test_questions_that_agree_by_chance_do_not_shrink_the_interval() -> None:
    """Two responses a question: differences of 0 in 19 of 20 questions at a half are luck, each has a variance of .25."""
    first, second = [0.5] * 20, [0.5] * 19 + [1.0]
    known, unknown = paired_interval(first, second, num_samples=2), paired_interval(first, second)
    assert known.high - known.low > 2 * (unknown.high - unknown.low)
    assert known.high - known.low == pytest.approx(2 * 2.09 * (0.49 / 20) ** 0.5, rel=0.1)


def test_equal_differences_leave_room_for_another() -> None:
    unseen = 1 - 0.025 ** (1 / 10)
    assert paired_interval([0.0] * 10, [0.0] * 10) == pytest.approx((0.0, -unseen, unseen))
    assert paired_interval([0.1] * 10, [0.3] * 10) == pytest.approx((0.2, 0.2 - 1.2 * unseen, 0.2 + 0.8 * unseen))


def test_a_rare_gain_reaches_further_up_than_down() -> None:
    value, low, high = paired_interval([0.0] * 30, [0.0] * 28 + [0.5, 0.5])
    assert high - value > 1.5 * (value - low)
    assert low < 0.0


def test_one_question_says_nothing() -> None:
    assert paired_interval([0.25], [0.5]) == (0.25, -1.0, 1.0)


@given(st.lists(st.tuples(SHARES, SHARES), min_size=1, max_size=20), st.sampled_from([None, 4]))
def test_the_interval_excludes_zero_exactly_where_p_is_below_five_per_cent(
    pairs: list[tuple[float, float]], num_samples: int | None
) -> None:
    first, second = map(list, zip(*pairs, strict=True))
    _, low, high = paired_interval(first, second, num_samples)
    p = paired_p_value(first, second, num_samples)
    assert 0.0 < p <= 1.0
    assert (low > 0.0 or high < 0.0) == (p < 0.05)
    assert paired_p_value(second, first, num_samples) == pytest.approx(p)


def test_p_is_that_of_the_interval_at_every_level() -> None:
    """Ten equal differences of .2: 0 is held until 1.2 (1 − tail^(1/10)) = .2, p is twice that tail."""
    assert paired_p_value([0.1] * 10, [0.3] * 10) == pytest.approx(2 * (1 / 1.2) ** 10, rel=1e-4)
    assert paired_p_value([0.3] * 10, [0.3] * 10) == paired_p_value([0.0], [1.0]) == 1.0


@pytest.mark.parametrize(("first", "second"), [([], []), ([0.5], [1.5]), ([0.5], [0.5, 0.5])])
def test_what_is_no_pair_of_shares_is_refused(first: list[float], second: list[float]) -> None:
    for of_pair in (paired_interval, paired_p_value):
        with pytest.raises(ValueError, match=r"shares in|longer"):
            of_pair(first, second)


def test_zero_is_excluded_from_five_questions_of_one_sign_on() -> None:
    """pass@k of 30 questions, as docs/intervals.md says; Student's interval excludes 0 from four on."""
    for differing, (ours, students) in {3: (False, False), 4: (False, True), 5: (True, True)}.items():
        first, second = [0.0] * 30, [1.0] * differing + [0.0] * (30 - differing)
        assert (paired_interval(first, second, num_samples=1).low > 0.0) == ours
        assert (mean_interval(second).low > 0.0) == students
