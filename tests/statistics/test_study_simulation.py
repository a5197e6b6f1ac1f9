"""The whole chain on simulated studies: false claims stay at 5 %, the stated effect is found as often as stated."""

import pytest

from benchmarks.study_simulation import NUM_ARMS, NUM_SEEDS, claimed

FEW, MANY = 400, 10_000


@pytest.mark.parametrize("num_arms", NUM_ARMS)
def test_studies_of_equal_arms_claim_in_one_of_twenty(num_arms: int) -> None:
    found = claimed(FEW, num_arms, 3, effect=False)
    assert 0.01 < found.claimed <= 0.05 + 2 * found.error


def test_the_detectable_effect_is_detected_as_often_as_stated() -> None:
    found = claimed(FEW, 1, 3, effect=True)
    assert found.claimed == pytest.approx(0.8, abs=3 * found.error)


@pytest.mark.slow
@pytest.mark.parametrize("num_seeds", NUM_SEEDS)
def test_the_chain_holds_its_promises_over_ten_thousand_studies(num_seeds: int) -> None:
    for num_arms in NUM_ARMS:
        null = claimed(MANY, num_arms, num_seeds, effect=False)
        assert null.claimed <= 0.05 + 2 * null.error
    power = claimed(MANY, 1, num_seeds, effect=True)
    assert power.claimed == pytest.approx(0.8, abs=3 * power.error)
