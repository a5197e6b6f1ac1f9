"""Seeds crossed with questions: the three units, against mean squares worked out by hand."""

from math import sqrt

import numpy as np
import pytest
from scipy import stats

from prerl_spec.statistics.paired import paired_interval
from prerl_spec.statistics.seeds import seed_interval
from prerl_spec.statistics.two_level import two_level

FIRST = np.zeros((2, 3))
SECOND = np.array([[0.1, 0.2, 0.6], [0.3, 0.2, 1.0]])


def test_both_levels_are_the_hand_calculated_quasi_f() -> None:
    """Means .4; seeds .3, .5: MS_S = 3 × .02 = .06. Questions .2, .2, .8: MS_Q = 2 × .24 / 2 = .24. Rest: of the squares
    .58 about the mean .06 and .48 are theirs, .04 is left: MS_SQ = .04 / 2 = .02."""
    found = two_level(FIRST, SECOND)
    combined = 0.06 + 0.24 - 0.02
    freedom = combined**2 / (0.06**2 / 1 + 0.24**2 / 2 + 0.02**2 / 2)
    reach = stats.t.ppf(0.975, freedom) * sqrt(combined / 6)
    wide = seed_interval([0.3, 0.5])  # one degree of freedom: .4 ± 12.7 × .1, wider than both by t alone
    assert reach < wide.high - 0.4
    assert found.both == pytest.approx((0.4, max(-1.0, wide.low), 1.0))
    assert found.seeds == pytest.approx(wide)


def test_many_seeds_leave_the_quasi_f_itself() -> None:
    generator = np.random.default_rng(3)
    shape = (6, 8)
    second_SQ = (
        0.5 + 0.1 * generator.normal(size=(6, 1)) + 0.1 * generator.normal(size=8) + 0.02 * generator.normal(size=shape)
    )
    first_SQ = np.full(shape, 0.4)
    difference_SQ = second_SQ - first_SQ
    by_seed = 8 * difference_SQ.mean(axis=1).var(ddof=1)
    by_question = 6 * difference_SQ.mean(axis=0).var(ddof=1)
    rest = difference_SQ - difference_SQ.mean(axis=0) - difference_SQ.mean(axis=1, keepdims=True) + difference_SQ.mean()
    left = float((rest**2).sum()) / 35
    combined = by_seed + by_question - left
    freedom = combined**2 / (by_seed**2 / 5 + by_question**2 / 7 + left**2 / 35)
    reach = stats.t.ppf(0.975, freedom) * sqrt(combined / 48)
    value, low, high = two_level(first_SQ, second_SQ).both
    assert (value - low, high - value) == pytest.approx((reach, reach), rel=1e-9)


def test_one_unit_without_spread_leaves_the_others() -> None:
    """The same difference on every question: only seeds vary; the same in every seed: only questions do."""
    seeds_only = np.repeat(np.array([[0.1], [0.2], [0.3], [0.2]]), 5, axis=1)
    found = two_level(np.zeros((4, 5)), seeds_only)
    assert found.both == pytest.approx(seed_interval([0.1, 0.2, 0.3, 0.2]))
    questions_only = np.repeat(np.array([[0.0, 0.2, 0.4, 0.1, 0.3]]), 4, axis=0)
    found = two_level(np.zeros((4, 5)), questions_only)
    assert found.questions == paired_interval([0.0] * 5, [0.0, 0.2, 0.4, 0.1, 0.3])
    assert found.both == pytest.approx(found.questions, abs=0.05)


def test_equal_tables_differ_by_nothing() -> None:
    found = two_level(SECOND, SECOND)
    assert found.both.value == found.seeds.value == 0.0
    assert found.both.low <= found.questions.low


def test_tables_of_other_shape_or_of_one_seed_are_refused() -> None:
    for first, second in [(FIRST, SECOND[:, :2]), (FIRST[:1], SECOND[:1])]:
        with pytest.raises(ValueError, match="same shape"):
            two_level(first, second)
