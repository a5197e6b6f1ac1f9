"""pass@k against its definition, and where it must refuse."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prerl_spec.statistics.pass_at_k import avg_at_k, pass_at_k


@given(st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_is_the_share_of_k_subsets_with_a_right_one(case: tuple[int, int, int]) -> None:
    n, c, k = case
    subsets = list(combinations(range(n), k))
    by_counting = sum(any(sample < c for sample in subset) for subset in subsets) / len(subsets)
    assert pass_at_k(c, n, k) == pytest.approx(by_counting, abs=1e-15)


def test_three_right_of_ten_at_two() -> None:
    assert pass_at_k(3, 10, 2) == 24 / 45  # 1 − C(7,2)/C(10,2) = 1 − 21/45


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))))
def test_pass_at_one_is_the_share_of_right_responses(case: tuple[int, int]) -> None:
    n, c = case
    assert pass_at_k(c, n, 1) == avg_at_k(c, n) == c / n


def test_pass_at_all_is_whether_any_is_right() -> None:
    assert [pass_at_k(c, 16, 16) for c in (0, 1, 16)] == [0.0, 1.0, 1.0]


def test_ten_thousand_samples_lose_no_digit() -> None:
    assert pass_at_k(1, 10_000, 5_000) == 0.5


@pytest.mark.parametrize("k", [0, 5])
def test_k_beyond_the_samples_is_refused(k: int) -> None:
    with pytest.raises(ValueError, match="cannot be estimated from 4 samples"):
        pass_at_k(1, 4, k)


def test_more_right_answers_than_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="5 right of 4"):
        avg_at_k(5, 4)
