"""Intervals: what they cover, agreement with scipy and with the ordinary standard error, and the corners."""

from math import sqrt
from statistics import fmean, stdev

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from prerl_spec.statistics.intervals import jackknife_interval, mean_interval, share_interval, t_quantile

NUM_QUESTIONS, NUM_SAMPLES = 30, 16


def covered(drawn_QK: np.ndarray, truth: float, *, by_question: bool) -> bool:
    """Whether the interval of one simulated benchmark holds the true mean."""
    if by_question:
        _, low, high = share_interval(drawn_QK.mean(axis=1).tolist())
    else:
        mean = float(drawn_QK.mean())
        reach = 1.96 * sqrt(mean * (1 - mean) / drawn_QK.size)
        low, high = mean - reach, mean + reach
    return low <= truth <= high


def test_clustered_intervals_cover_and_independent_ones_do_not() -> None:
    """Questions differ in difficulty (Beta(0.5, 0.5)): 16 responses to one are far from 16 independent ones."""
    generator = np.random.default_rng(17)
    hits = {True: 0, False: 0}
    repeats = 2000
    for _ in range(repeats):
        difficulty_Q = generator.beta(0.5, 0.5, size=NUM_QUESTIONS)
        drawn_QK = generator.random((NUM_QUESTIONS, NUM_SAMPLES)) < difficulty_Q[:, None]
        for by_question in hits:
            hits[by_question] += covered(drawn_QK, 0.5, by_question=by_question)
    # Three standard errors of a share over 2,000 repeats are 1.5 points.
    assert hits[True] / repeats == pytest.approx(0.95, abs=0.015)
    assert hits[False] / repeats < 0.55


def test_t_quantiles_are_students() -> None:
    for degrees in (1, 2, 29, 499):
        assert t_quantile(degrees) == pytest.approx(stats.t.ppf(0.975, degrees), rel=1e-12)


def test_a_mean_of_shares_has_the_textbook_interval() -> None:
    shares = [0.25, 0.5, 0.5, 0.75]
    reach = stats.t.ppf(0.975, 3) * stdev(shares) / 2
    assert share_interval(shares) == pytest.approx((0.5, 0.5 - reach, 0.5 + reach), rel=1e-12)


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), min_size=1, max_size=20))
def test_bounds_hold_the_value_and_stay_within_zero_and_one(shares: list[float]) -> None:
    value, low, high = share_interval(shares)
    assert 0.0 <= low <= value <= high <= 1.0
    assert value == fmean(shares)


def test_thirty_wrong_questions_are_no_proof_of_zero() -> None:
    value, low, high = share_interval([0.0] * 30)
    assert (value, low) == (0.0, 0.0)
    assert high == pytest.approx(stats.binomtest(0, 30).proportion_ci().high, rel=1e-9)
    assert share_interval([1.0] * 30) == pytest.approx((1.0, 1.0 - high, 1.0))


def test_one_question_says_nothing() -> None:
    assert share_interval([0.5]) == (0.5, 0.0, 1.0)


@pytest.mark.parametrize("shares", [[], [0.5, 1.2], [float("nan")]])
def test_what_is_no_share_is_refused(shares: list[float]) -> None:
    with pytest.raises(ValueError, match="shares in"):
        share_interval(shares)


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    values = np.random.default_rng(1).normal(size=40).tolist()
    assert jackknife_interval(values, fmean) == pytest.approx(mean_interval(values), rel=1e-9)


def test_the_jackknife_of_many_questions_works_in_blocks() -> None:
    values = np.random.default_rng(2).normal(size=5000).tolist()
    calls = []

    def counted(items: list[float]) -> float:
        calls.append(len(items))
        return fmean(items)

    _, low, high = jackknife_interval(values, counted)
    assert calls == [5000, *[4950] * 100]
    exact = mean_interval(values)
    assert high - low == pytest.approx(exact.high - exact.low, rel=0.2)  # 100 blocks know s to some 7 %
