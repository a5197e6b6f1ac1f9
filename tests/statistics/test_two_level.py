"""Seeds crossed with questions: the three units, against mean squares worked out by hand."""

from math import sqrt

import numpy as np
import pytest
from scipy import stats

from prerl_spec.statistics.intervals import mean_interval
from prerl_spec.statistics.paired import paired_interval
from prerl_spec.statistics.seeds import seed_interval
from prerl_spec.statistics.two_level import crossed_interval, two_level

FIRST = np.zeros((2, 3))
SECOND = np.array([[0.1, 0.2, 0.6], [0.3, 0.2, 1.0]])


def test_both_levels_are_the_hand_calculated_quasi_f() -> None:
    """Mean .4; seeds .3, .5: MS_S = 3 × .02 = .06. Questions .2, .2, .8: MS_Q = 2 × .24 / 2 = .24. Rest: of the squares
    .58 about the mean .06 and .48 are theirs, .04 is left: MS_SQ = .04 / 2 = .02."""
    combined = 0.06 + 0.24 - 0.02
    freedom = combined**2 / (0.06**2 / 1 + 0.24**2 / 2 + 0.02**2 / 2)
    reach = stats.t.ppf(0.975, freedom) * sqrt(combined / 6)
    assert tuple(crossed_interval(SECOND - FIRST)) == pytest.approx((0.4, 0.4 - reach, 0.4 + reach))


def test_two_levels_hold_the_interval_of_either() -> None:
    found = two_level(FIRST, SECOND)
    assert found.seeds == seed_interval([0.3, 0.5])
    assert tuple(found.questions) == pytest.approx(tuple(paired_interval([0.0] * 3, [0.2, 0.2, 0.8])))
    assert found.both.low == max(-1.0, min(found.seeds.low, found.questions.low))
    assert found.both.high == 1.0


def test_with_many_of_both_the_crossed_interval_is_the_widest() -> None:
    generator = np.random.default_rng(3)
    second_SQ = 0.5 + 0.05 * generator.normal(size=(20, 1)) + 0.2 * generator.uniform(-1, 1, size=100)
    noisy_SQ = second_SQ + 0.02 * generator.normal(size=(20, 100))
    found = two_level(np.full((20, 100), 0.5), np.clip(noisy_SQ, 0.0, 1.0))
    assert found.both == crossed_interval(np.clip(noisy_SQ, 0.0, 1.0) - 0.5)


def test_one_unit_without_spread_leaves_the_other() -> None:
    """The same difference on every question: only seeds vary; the same in every seed: only questions do."""
    seeds_only = np.repeat(np.array([[0.1], [0.2], [0.3], [0.2]]), 5, axis=1)
    assert tuple(crossed_interval(seeds_only)) == pytest.approx(tuple(seed_interval([0.1, 0.2, 0.3, 0.2])))
    questions_only = seeds_only.T
    assert tuple(crossed_interval(questions_only)) == pytest.approx(tuple(mean_interval([0.1, 0.2, 0.3, 0.2])))


def test_equal_tables_differ_by_nothing() -> None:
    found = two_level(SECOND, SECOND)
    assert found.both.value == found.seeds.value == 0.0
    assert found.both.low <= found.questions.low


def test_tables_of_other_shape_or_of_one_seed_are_refused() -> None:
    for first, second in [(FIRST, SECOND[:, :2]), (FIRST[:1], SECOND[:1])]:
        with pytest.raises(ValueError, match="same shape"):
            two_level(first, second)
