"""What intervals cover where the truth is known: the shipped ones hold near 0 and 1, where Student's do not."""

import numpy as np
import pytest
from scipy.stats import binom

from benchmarks.coverage import MIXES, Case, cases, cases_of_losses, measure, of_largest
from prerl_spec.statistics.unseen import difference_bounds

BY_NAME = {mix.name: mix for mix in MIXES}


@pytest.mark.parametrize("samples", [16, 64])
@pytest.mark.parametrize("mix", ["Beta(0.05, 1)", "Beta(1, 0.1)"])
def test_scores_near_zero_and_one_hold_the_truth(mix: str, samples: int) -> None:
    found = measure(Case(BY_NAME[mix], 30, samples, passes=False), 1000)
    # A share of 95 % over 1,000 repeats has a standard error of 0.7 points.
    assert 93.0 <= found["shipped"] <= 99.0
    assert found["student"] < 91.0


@pytest.mark.parametrize("mix", ["Beta(1, 1)", "all .02", "90 % 0, 10 % .5"])
def test_scores_of_other_mixes_are_not_overcautious(mix: str) -> None:
    found = measure(Case(BY_NAME[mix], 30, 16, passes=False), 600)
    assert 93.0 <= found["shipped"] <= 99.0


@pytest.mark.parametrize("pairing", ["shifted", "learnt"])
def test_differences_of_rare_questions_hold_the_truth(pairing: str) -> None:
    found = measure(Case(BY_NAME["Beta(0.05, 1)"], 30, 16, passes=False, pairing=pairing), 1000)
    assert found["shipped"] >= 93.0
    assert found["student"] < 91.5


@pytest.mark.parametrize("num_questions", [30, 500])
def test_checkpoints_that_differ_by_coins_are_told_apart_in_at_most_one_of_twenty(num_questions: int) -> None:
    """pass@k of two equal checkpoints, of which a few questions tell anything: all outcomes with their probabilities."""
    outcomes = [(differing, up) for differing in range(1, 31) for up in range(differing + 1)]
    second_RQ = np.zeros((len(outcomes), num_questions))
    for row, (differing, up) in zip(second_RQ, outcomes, strict=True):
        row[:up], row[up:differing] = 1.0, -1.0
    low, high = difference_bounds(np.maximum(-second_RQ, 0.0), np.maximum(second_RQ, 0.0), 1)
    for mean in (4, 6, 8, 12):
        likely = [binom.pmf(d, num_questions, mean / num_questions) * binom.pmf(up, d, 0.5) for d, up in outcomes]
        assert np.dot(likely, (low > 0.0) | (high < 0.0)) <= 0.05


def test_gains_of_the_hardest_questions_hold_the_truth_where_luck_points_down() -> None:
    """Nearly all is solved, a fifth of what is not is learnt: a lucky loss skews the sample to the side without the gains."""
    found = measure(Case(BY_NAME["Beta(1, 0.1)"], 30, 64, passes=False, pairing="fifth"), 2000)
    assert found["shipped"] >= 93.0
    assert found["student"] < 89.0


@pytest.mark.parametrize("pairing", ["forgotten", "traded"])
def test_gains_paid_for_by_losses_have_the_mean_that_is_named(pairing: str) -> None:
    case = next(case for case in cases_of_losses() if case.pairing == pairing and case.mix.name == "Beta(1, 1)")
    first, second = case.draw(np.random.default_rng(2), 4000)
    # 120,000 questions, standard deviation .33: a standard error of .001.
    assert (second - first).mean() == pytest.approx(case.truth(), abs=0.004)
    assert (case.truth() == pytest.approx(0.0, abs=1e-9)) == (pairing == "traded")


def test_equal_checkpoints_are_told_apart_where_zero_is_not_covered() -> None:
    found = measure(Case(BY_NAME["Beta(0.5, 0.5)"], 30, 4, passes=False, pairing="same"), 400)
    assert found["student_excludes"] == pytest.approx(100.0 - found["student"], abs=0.01)
    assert 0.0 < found["shipped_excludes"] < found["student_excludes"]


def test_an_effect_is_found_less_often_by_the_wider_interval() -> None:
    found = measure(Case(BY_NAME["all .02"], 30, 16, passes=False, pairing="fifth"), 400)
    assert 50.0 < found["shipped_excludes"] < found["student_excludes"] < 90.0


def test_how_few_questions_carry_a_difference() -> None:
    """A tenth of the questions learnt of those never solved, all else certain: one or two of thirty differ."""
    found = measure(Case(BY_NAME["half 0, half 1"], 30, 16, passes=True, pairing="learnt"), 400)
    assert found["differing"] == 1.0
    assert of_largest(np.array([[3.0, -1.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]])) == pytest.approx(
        [1.0, 0.75, 1.0]
    )


@pytest.mark.slow
def test_every_mix_size_and_metric_is_covered() -> None:
    """No upper limit: a single value is always covered, rare symmetric differences nearly so (docs/intervals.md)."""
    low = [
        (case.metric, case.mix.name, case.questions, case.samples)
        for case in cases()
        if measure(case, 2000)["shipped"] < 92.0
    ]
    assert not low
