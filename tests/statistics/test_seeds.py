"""t over seeds, Holm, the detectable effect: against scipy and published values, and in the corners."""

from itertools import pairwise
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from prerl_spec.statistics.seeds import detectable_effect, holm, seed_interval, t_p_value

SLEEP = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
"""Student 1908, hours of sleep gained, first drug."""


def test_students_own_example_has_his_interval() -> None:
    reference = stats.ttest_1samp(SLEEP, 0.0)
    low, high = reference.confidence_interval(0.95)
    assert seed_interval(SLEEP) == pytest.approx((0.75, low, high), rel=1e-12)
    assert t_p_value(SLEEP) == pytest.approx(float(reference.pvalue), rel=1e-12)
    assert t_p_value(SLEEP) == pytest.approx(0.2176, abs=5e-5)  # R: t.test(extra[group == 1])


def test_three_seeds_need_four_and_a_third_standard_errors() -> None:
    value, low, high = seed_interval([0.01, 0.02, 0.03])
    assert (value, high - value) == pytest.approx((0.02, 4.302653 * 0.01 / sqrt(3)), rel=1e-6)
    assert low == pytest.approx(0.02 - (high - 0.02))


def test_one_seed_has_no_spread() -> None:
    for of_one in (seed_interval, t_p_value):
        with pytest.raises(ValueError, match="at least two"):
            of_one([0.1])


def test_arms_that_differ_in_nothing_are_not_told_apart() -> None:
    assert seed_interval([0.0] * 3) == (0.0, 0.0, 0.0)
    assert t_p_value([0.0] * 3) == 1.0


def test_equal_differences_of_a_few_seeds_are_no_proof() -> None:
    """One question more in each of three seeds: t would be infinite. Coins fall alike three times in four."""
    assert t_p_value([1 / 30] * 3) == 0.25
    assert seed_interval([1 / 30] * 3) == pytest.approx((1 / 30, 0.0, 2 / 30))
    assert t_p_value([0.1 + 0.2, 0.3, 0.3]) == 0.25  # their spread is rounding


def test_equal_differences_of_six_seeds_are() -> None:
    assert t_p_value([-1 / 30] * 6) == 2**-5
    assert seed_interval([-1 / 30] * 6) == pytest.approx((-1 / 30,) * 3)


@given(st.lists(st.integers(-20, 20), min_size=2, max_size=9))
def test_the_interval_excludes_zero_exactly_where_p_is_below_five_per_cent(counts: list[int]) -> None:
    differences = [count / 30 for count in counts]
    _, low, high = seed_interval(differences)
    assert (low > 0 or high < 0) == (t_p_value(differences) < 0.05)


def test_holms_adjustment_is_the_published_one() -> None:
    # R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm"); statsmodels' multipletests gives the same.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.2]) == [0.2]
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=8))
def test_holm_keeps_the_order_and_lies_between_plain_and_bonferroni(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    for p, after in zip(p_values, adjusted, strict=True):
        assert p <= after <= min(1.0, len(p_values) * p)
    in_order = [after for _, after in sorted(zip(p_values, adjusted, strict=True))]
    assert all(one <= other for one, other in pairwise(in_order))


def test_what_is_no_p_value_is_refused() -> None:
    with pytest.raises(ValueError, match="p values"):
        holm([0.2, 1.5])


@pytest.mark.parametrize("num_seeds", [2, 3, 5, 10, 20, 100])
@pytest.mark.parametrize(("power", "num_comparisons"), [(0.8, 1), (0.9, 1), (0.8, 3)])
def test_at_the_detectable_effect_the_noncentral_t_has_the_stated_power(
    num_seeds: int, power: float, num_comparisons: int
) -> None:
    effect = detectable_effect(0.04, num_seeds, power, num_comparisons)
    degrees, shift = num_seeds - 1, effect * sqrt(num_seeds) / 0.04
    critical = stats.t.ppf(1 - 0.025 / num_comparisons, degrees)
    assert stats.nct.sf(critical, degrees, shift) == pytest.approx(power, abs=1e-6)


def test_the_detectable_effect_of_34_seeds_is_the_textbooks_half_a_standard_deviation() -> None:
    # G*Power and statsmodels' TTestPower: d = 0.5, power 0.8, two-sided needs n = 33.4.
    assert detectable_effect(1.0, 33) > 0.5 > detectable_effect(1.0, 34)
    assert detectable_effect(0.0, 3) == 0.0


def test_few_seeds_detect_far_less_than_a_normal_approximation_promises() -> None:
    normal = stats.norm.ppf(0.975) + stats.norm.ppf(0.8)
    assert detectable_effect(1.0, 3) > 1.15 * normal * 1.0
    assert detectable_effect(1.0, 1000) == pytest.approx(normal / sqrt(1000), rel=5e-3)


@pytest.mark.parametrize(("sd", "num_seeds", "power"), [(-1.0, 3, 0.8), (1.0, 1, 0.8), (1.0, 3, 1.0), (1.0, 3, 0.4)])
def test_an_effect_that_cannot_be_stated_is_refused(sd: float, num_seeds: int, power: float) -> None:
    with pytest.raises(ValueError, match="no detectable effect"):
        detectable_effect(sd, num_seeds, power)
