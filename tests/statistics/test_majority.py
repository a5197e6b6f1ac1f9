"""maj@k and G-Pass@k against their definitions: every draw of k responses, counted one by one."""

from collections import Counter
from fractions import Fraction
from itertools import combinations
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from prerl_spec.statistics.majority import Votes, maj_at_k
from prerl_spec.statistics.pass_at_k import pass_at_k
from prerl_spec.statistics.stable_pass import g_pass_at_k, mean_g_pass_at_k


def by_counting(votes: Votes, num_samples: int, k: int) -> float:
    """Draws every k of n responses, counts, and shares a tie."""
    given_by = [place for place, (count, _) in enumerate(votes) for _ in range(count)]
    responses: list[int | None] = [*given_by, *[None] * (num_samples - len(given_by))]
    found = Fraction(0)
    for drawn in combinations(responses, k):
        counts = Counter(place for place in drawn if place is not None)
        first = [place for place, count in counts.items() if count == max(counts.values())]
        found += Fraction(sum(votes[place][1] for place in first), len(first)) if first else 0
    return float(found / comb(num_samples, k))


@st.composite
def elections(draw: st.DrawFn) -> tuple[list[tuple[int, bool]], int, int]:
    votes = draw(st.lists(st.tuples(st.integers(1, 3), st.booleans()), max_size=4))
    voters = sum(count for count, _ in votes)
    samples = draw(st.integers(max(1, voters), max(9, voters)))
    return votes, samples, draw(st.integers(1, samples))


@settings(max_examples=60, deadline=None)
@given(elections())
def test_maj_at_k_is_the_share_of_draws_that_elect_a_right_answer(
    case: tuple[list[tuple[int, bool]], int, int],
) -> None:
    votes, samples, k = case
    assert maj_at_k(votes, samples, k) == pytest.approx(by_counting(votes, samples, k), abs=1e-12)


def test_three_votes_by_hand() -> None:
    # Of three responses, 7 twice (right) and 8 once: two of them are 7 7, 7 8, 7 8, and a tie counts one half.
    assert maj_at_k([(2, True), (1, False)], 3, 2) == pytest.approx((1 + 0.5 + 0.5) / 3)
    assert maj_at_k([(2, True), (1, False)], 3, 3) == 1.0
    assert maj_at_k([(1, True), (1, False)], 3, 3) == 0.5


def test_responses_without_an_answer_do_not_vote() -> None:
    assert maj_at_k([(1, True)], 64, 64) == 1.0
    assert maj_at_k([(1, True)], 64, 16) == pytest.approx(pass_at_k(1, 64, 16))
    assert maj_at_k([], 8, 3) == maj_at_k([], 8, 8) == 0.0


@given(st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))))
def test_one_vote_is_the_share_of_right_responses(case: tuple[int, int]) -> None:
    n, c = case
    votes = [(count, is_right) for count, is_right in ((c, True), (n - c, False)) if count]
    assert maj_at_k(votes, n, 1) == pytest.approx(c / n, abs=1e-12)


def test_a_minority_loses_with_more_votes_and_a_majority_wins() -> None:
    ahead, behind = [(40, True), (24, False)], [(24, True), (40, False)]
    of_ahead = [maj_at_k(ahead, 64, k) for k in (1, 4, 16, 63, 64)]
    assert of_ahead == sorted(of_ahead)
    assert [maj_at_k(behind, 64, k) for k in (1, 4, 16, 63, 64)] == pytest.approx([1 - share for share in of_ahead])


def test_thousands_of_responses_lose_nothing() -> None:
    votes = [(600, True), (600, False), (300, False)]
    assert 0.4 < maj_at_k(votes, 2000, 8) < 0.5
    assert maj_at_k([(1200, True)], 1600, 800) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize(("votes", "samples", "k"), [([(2, True)], 4, 5), ([(2, True)], 4, 0), ([(5, True)], 4, 2)])
def test_what_cannot_be_drawn_is_refused(votes: Votes, samples: int, k: int) -> None:
    with pytest.raises(ValueError, match="samples"):
        maj_at_k(votes, samples, k)


@given(
    st.integers(1, 30).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))),
    st.sampled_from([0.25, 0.3, 0.5, 0.75, 1.0]),
)
def test_g_pass_at_k_is_the_upper_tail_of_the_hypergeometric(case: tuple[int, int, int], tau: float) -> None:
    n, c, k = case
    least = -(-round(tau * 100) * k // 100)
    assert g_pass_at_k(c, n, k, tau) == pytest.approx(hypergeom.sf(least - 1, n, c, k), abs=1e-12)


def test_without_a_threshold_g_pass_is_pass_at_k() -> None:
    assert [g_pass_at_k(c, 16, 4, 0.0) for c in range(17)] == [pass_at_k(c, 16, 4) for c in range(17)]


@given(st.integers(1, 12).flatmap(lambda h: st.tuples(st.just(2 * h), st.integers(2 * h, 30))), st.integers(0, 30))
def test_the_mean_g_pass_is_the_papers_sum(size: tuple[int, int], right: int) -> None:
    k, n = size
    c = min(right, n)
    thresholds = range(-(-k // 2) + 1, k + 1)
    by_the_sum = 2 / k * sum(hypergeom.sf(i - 1, n, c, k) for i in thresholds)
    assert mean_g_pass_at_k(c, n, k) == pytest.approx(by_the_sum, abs=1e-12)
    assert mean_g_pass_at_k(n, n, k) == 1.0


def test_an_odd_k_has_no_mean_g_pass() -> None:
    with pytest.raises(ValueError, match="even k"):
        mean_g_pass_at_k(3, 8, 3)
