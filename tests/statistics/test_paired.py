"""Paired differences: their corners and bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prerl_spec.statistics.paired import paired_interval

SHARES = st.sampled_from([0.0, 0.25, 0.5, 1.0])


@given(st.lists(st.tuples(SHARES, SHARES), min_size=1, max_size=20))
def test_bounds_hold_the_difference_and_change_sign_with_the_order(pairs: list[tuple[float, float]]) -> None:
    first, second = map(list, zip(*pairs, strict=True))
    value, low, high = paired_interval(first, second)
    assert -1.0 <= low <= value <= high <= 1.0
    assert paired_interval(second, first) == pytest.approx((-value, -high, -low), abs=1e-12)


def test_one_question_says_nothing() -> None:
    assert paired_interval([0.25], [0.5]) == (0.25, -1.0, 1.0)


@pytest.mark.parametrize(("first", "second"), [([], []), ([0.5], [1.5]), ([0.5], [0.5, 0.5])])
def test_what_is_no_pair_of_shares_is_refused(first: list[float], second: list[float]) -> None:
    with pytest.raises(ValueError, match=r"shares in|longer"):
        paired_interval(first, second)
