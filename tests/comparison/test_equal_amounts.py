"""Two curves at an equal amount of one axis, by hand."""

from typing import Any

import pytest

from prerl_spec.comparison.equal_amounts import AtEqual, at_equal_amount, reached_at, value_at

SLOW = [(0.0, 0.1), (50.0, 0.2), (100.0, 0.3)]
FAST = [(0.0, 0.1), (80.0, 0.25), (100.0, 0.35), (120.0, 0.5), (200.0, 0.6)]


def alike(how: Any, difference: float, amount: float) -> AtEqual:
    """The decimals above are no sums of powers of two."""
    close: Any = pytest.approx(difference)
    return AtEqual(how, close, amount)


def test_ends_within_two_per_cent_or_one_step_are_compared_as_they_are() -> None:
    near = [(0.0, 0.1), (101.9, 0.4)]
    assert at_equal_amount(SLOW, near, 0.0) == alike("ends", 0.1, 100.0)
    far = [(0.0, 0.1), (110.0, 0.4)]
    assert at_equal_amount(SLOW, far, 10.0).how == "ends"
    assert at_equal_amount(SLOW, far, 9.0) == AtEqual("unknown", None, 100.0, gap=1.1)


def test_the_further_run_is_read_at_the_end_of_the_nearer_one_whichever_it_is() -> None:
    assert at_equal_amount(SLOW, FAST, 1.0) == alike("curve", 0.05, 100.0)
    assert at_equal_amount(FAST, SLOW, 1.0) == alike("curve", -0.05, 100.0)
    between = [(0.0, 0.1), (90.0, 0.2)]
    assert at_equal_amount(between, FAST, 1.0).difference == pytest.approx(0.3 - 0.2)


def test_a_line_across_a_wide_gap_is_a_guess_and_not_read() -> None:
    assert value_at(FAST, 110.0) == pytest.approx(0.425)
    assert value_at(FAST, 160.0) is None
    assert value_at(FAST, 160.0, widest_gap=0.5) == pytest.approx(0.55)
    assert value_at(FAST, 200.0) == 0.6
    assert value_at(FAST, 201.0) is None


def test_an_arm_that_spends_nothing_has_no_equal_amounts() -> None:
    idle = [(0.0, 0.1), (0.0, 0.1)]
    assert at_equal_amount(SLOW, idle, 1.0) == AtEqual("unmoved")
    assert at_equal_amount(idle, idle, 1.0) == AtEqual("unmoved")


def test_a_threshold_is_reached_at_the_first_score_that_is_at_least_as_high() -> None:
    assert reached_at(FAST, 0.35) == 100.0
    assert reached_at(FAST, 0.36) == 120.0
    assert reached_at(FAST, 0.61) is None
