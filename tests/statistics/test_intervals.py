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


def test_right_and_wrong_answers_have_a_betas_quantiles() -> None:
    """3 of 10: Beta(3¼, 7¾) below and Beta(3¾, 7¼) above, inside Clopper and Pearson's interval, around Jeffreys'."""
    value, low, high = share_interval([1.0] * 3 + [0.0] * 7)
    assert (low, high) == pytest.approx(
        (stats.beta.ppf(0.025, 3.25, 7.75), stats.beta.ppf(0.975, 3.75, 7.25)), rel=1e-9
    )
    assert value == pytest.approx(0.3)
    exact = stats.binomtest(3, 10).proportion_ci(method="exact")
    jeffreys = stats.beta(3.5, 7.5)
    assert exact.low < low < jeffreys.ppf(0.025) < jeffreys.ppf(0.975) < high < exact.high


def test_a_mean_has_the_textbook_interval() -> None:
    values = [0.25, 0.5, 0.5, 1.75]
    reach = stats.t.ppf(0.975, 3) * stdev(values) / 2
    assert tuple(mean_interval(values)) == pytest.approx((0.75, 0.75 - reach, 0.75 + reach), rel=1e-12)


def test_a_bound_is_the_quantile_of_the_dirichlet_mean_it_stands_for() -> None:
    """By simulation with 400,000 draws: weights 1 for each question, ¾ at 6 × .125 and ¼ at 0; one draw in 40 lies above."""
    shares = [0.0] * 12 + [0.0625] * 5 + [0.125] * 3
    generator = np.random.default_rng(5)
    weights = generator.gamma([12, 5, 3, 0.75, 0.25], size=(400_000, 5))
    means = weights @ [0.0, 0.0625, 0.125, 0.75, 0.0] / weights.sum(axis=1)
    _, _, high = share_interval(shares)
    # Three moments stand for the whole distribution: within 4 % of its quantile.
    assert high == pytest.approx(np.quantile(means, 0.975), rel=0.04)


def test_many_questions_leave_students_interval() -> None:
    """Only few questions and rare ones need more: at 500 shares around a half both agree within 3 % of their width."""
    shares = np.random.default_rng(4).beta(5, 5, size=500).tolist()
    value, low, high = share_interval(shares)
    _, below, above = mean_interval(shares)
    assert (low, high) == pytest.approx((below, above), abs=0.03 * (above - below))
    assert value == fmean(shares)


def test_turning_right_into_wrong_turns_the_interval_round() -> None:
    shares = [0.0] * 20 + [0.0625, 0.25, 0.5]
    value, low, high = share_interval(shares)
    assert share_interval([1.0 - share for share in shares]) == pytest.approx((1 - value, 1 - high, 1 - low), rel=1e-9)


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


def test_equal_shares_leave_room_for_another() -> None:
    """Two questions at a half have no spread; a third may be 0 or 1, with a probability up to that of 2 of 2."""
    unseen = stats.binomtest(0, 2).proportion_ci().high
    assert share_interval([0.5, 0.5]) == pytest.approx((0.5, 0.5 - 0.5 * unseen, 0.5 + 0.5 * unseen))


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
