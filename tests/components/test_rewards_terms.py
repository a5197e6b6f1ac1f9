"""What each term adds to a score: the corners of its formula, by hand."""

from dataclasses import replace

import pytest
from prerl_components.rewards.format_bonus import FormatBonus
from prerl_components.rewards.length_penalty import LengthPenalty
from prerl_components.rewards.overlong_penalty import OverlongPenalty

from prerl_spec.sdk import Group, Outcome, RewardTerm
from prerl_spec.testing.laws import check_reward
from prerl_spec.testing.steps import Result, made_step

UNPARSABLE, TIMEOUT, ERROR = Outcome.UNPARSABLE, Outcome.TIMEOUT, Outcome.ERROR


def group_of(results: list[Result], lengths: list[int], budget: int = 20) -> Group:
    return replace(made_step([results], lengths=lengths).groups[0], max_new_tokens=budget)


def terms(reward: RewardTerm, group: Group) -> list[float]:
    """The term of each scored attempt."""
    assert callable(getattr(reward, "reward", None))
    return [reward.reward(a, group) for a in group.attempts if a.reward is not None]  # type: ignore[attr-defined]


@pytest.mark.parametrize("reward", [OverlongPenalty(buffer=3), FormatBonus(weight=0.1), LengthPenalty(weight=0.5)])
def test_they_obey_the_laws(reward: RewardTerm) -> None:
    check_reward(reward)


@pytest.mark.parametrize(
    ("length", "expected"), [(1, 0.0), (15, 0.0), (16, 0.0), (17, -0.25), (18, -0.5), (19, -0.75), (20, -1.0)]
)
def test_the_overlong_penalty_is_a_line_over_the_buffer_and_whole_at_the_budget(length: int, expected: float) -> None:
    """L = 20, L_c = 4: DAPO's eq. 13 at every length that changes."""
    group = group_of([0.0], [length])
    assert terms(OverlongPenalty(buffer=4), group) == [expected]
    assert terms(OverlongPenalty(buffer=4, weight=0.5), group) == [expected / 2]


def test_the_overlong_penalty_is_dapos_piecewise_function() -> None:
    """0 up to L − L_c, ((L − L_c) − |y|) / L_c from there on, which the sampler ends at L."""
    budget, buffer = 50, 7
    group = group_of([0.0] * budget, list(range(1, budget + 1)), budget)
    plain = [0.0 if n <= budget - buffer else ((budget - buffer) - n) / buffer for n in range(1, budget + 1)]
    assert terms(OverlongPenalty(buffer=buffer), group) == plain
    assert plain[-1] == -1.0


@pytest.mark.parametrize(
    ("text", "has_form"),
    [
        (r"so \boxed{7}", True),
        (r"so \boxed{wrong or not}", True),
        (r"<think>\boxed{1}</think> \boxed{\frac{1}{2}}", True),
        ("so 7", False),
        (r"\boxed{}", False),
        (r"\boxed{ }", False),
        (r"\boxed{7", False),
        (r"\boxed{7} or \boxed{8", False),
        (r"<think>\boxed{7}</think> so 7", False),
        ("", False),
    ],
)
def test_the_bonus_is_paid_for_a_last_closed_box_that_holds_something(text: str, has_form: bool) -> None:
    group = group_of([1.0, 0.0], [3, 3])
    for attempt in group.attempts:
        assert FormatBonus(weight=0.25).reward(replace(attempt, text=text), group) == (0.25 if has_form else 0.0)


def test_a_box_in_a_truncated_response_earns_no_bonus() -> None:
    group = group_of([UNPARSABLE], [3])
    (truncated,) = group.attempts
    assert truncated.stop == "length"
    assert FormatBonus(weight=0.25).reward(replace(truncated, text=r"\boxed{7}"), group) == 0.0
    assert FormatBonus(weight=0.25).reward(replace(truncated, text=r"\boxed{7}", stop="stop"), group) == 0.25


def test_the_length_penalty_favours_short_right_responses_and_never_rewards_wrong_ones() -> None:
    """Lengths 10, 15, 20: λ = .5, 0, −.5 for right responses, min(0, λ) for others."""
    right, wrong = group_of([1.0] * 3, [10, 15, 20]), group_of([0.0, 0.5, UNPARSABLE], [10, 15, 20])
    assert terms(LengthPenalty(weight=1.0), right) == [0.5, 0.0, -0.5]
    assert terms(LengthPenalty(weight=1.0), wrong) == [0.0, 0.0, -0.5]
    assert terms(LengthPenalty(weight=0.5), right) == [0.25, 0.0, -0.25]


def test_the_length_penalty_measures_scored_responses_only() -> None:
    group = group_of([1.0, TIMEOUT, 1.0, ERROR], [10, 1, 20, 40])
    assert terms(LengthPenalty(weight=1.0), group) == [0.5, -0.5]


@pytest.mark.parametrize(("results", "lengths"), [([1.0, 0.0], [7, 7]), ([1.0], [7]), ([1.0, TIMEOUT], [7, 3])])
def test_equal_lengths_earn_no_length_penalty(results: list[Result], lengths: list[int]) -> None:
    assert set(terms(LengthPenalty(weight=1.0), group_of(results, lengths))) == {0.0}
