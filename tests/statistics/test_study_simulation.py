"""The whole chain on simulated studies: false claims stay at 5 %, the stated effect is found as often as stated."""

from math import sqrt

import pytest
from scipy.special import nctdtr, stdtrit

from benchmarks.study_simulation import NUM_ARMS, NUM_SEEDS, Outcome, claimed, sd_of_differences

FEW, MANY = 400, 10_000


@pytest.mark.parametrize("num_arms", NUM_ARMS)
def test_studies_of_equal_arms_claim_in_one_of_twenty(num_arms: int) -> None:
    found = claimed(FEW, num_arms, 3, effect=False)
    assert 0.01 < found.claimed <= 0.05 + 2 * found.error


def test_the_detectable_effect_is_detected_as_often_as_stated() -> None:
    found = claimed(FEW, 1, 3, effect=True)
    assert found.claimed == pytest.approx(0.8, abs=3 * found.error)


def test_the_detectable_effect_of_three_arms_is_that_of_holms_first_threshold() -> None:
    """Two more arms, equal to the baseline, take no power from the better one: its effect is stated for three."""
    found = claimed(FEW // 2, 3, 3, effect=True)
    assert found.claimed == pytest.approx(0.8, abs=3 * found.error)


@pytest.mark.slow
@pytest.mark.parametrize("num_seeds", NUM_SEEDS)
def test_the_chain_holds_its_promises_over_ten_thousand_studies(num_seeds: int) -> None:
    for num_arms in NUM_ARMS:
        null = claimed(MANY, num_arms, num_seeds, effect=False)
        assert null.claimed <= 0.05 + 2 * null.error
        power = claimed(MANY, num_arms, num_seeds, effect=True)
        assert power.claimed == pytest.approx(of_the_true_spread(power), abs=3 * power.error)


def of_the_true_spread(found: Outcome) -> float:
    """80 %, and more where the effect is large: the better arm's scores then scatter less than was stated beforehand."""
    noncentrality = found.effect * sqrt(found.seeds) / sd_of_differences(found.effect)
    critical = stdtrit(found.seeds - 1, 1 - 0.025 / found.arms)
    return 1.0 - float(nctdtr(found.seeds - 1, noncentrality, critical))
