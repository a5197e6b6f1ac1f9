"""Which groups stay under a bound on length, difficulty or spread: each bound from both sides."""

from dataclasses import replace
from typing import Any

import pytest
from prerl_components.filters.difficulty_band import DifficultyBand
from prerl_components.filters.drop_truncated import DropTruncated
from prerl_components.filters.max_length import MaxLength
from prerl_components.filters.reward_spread import RewardSpread
from pydantic import ValidationError

from prerl_spec.sdk import Group, Outcome
from prerl_spec.testing.laws import check_filter
from prerl_spec.testing.steps import Result, made_step

UNPARSABLE, TIMEOUT, ERROR = Outcome.UNPARSABLE, Outcome.TIMEOUT, Outcome.ERROR


def group_of(results: list[Result], lengths: list[int] | None = None) -> Group:
    return made_step([results], lengths=lengths).groups[0]


@pytest.mark.parametrize(
    "chosen", [MaxLength(tokens=4), DropTruncated(), DifficultyBand(low=0.2, high=0.8), RewardSpread(least=0.1)]
)
def test_they_obey_the_laws(chosen: Any) -> None:
    check_filter(chosen)
    assert chosen.refill_rounds == 0


@pytest.mark.parametrize(
    ("results", "lengths", "kept"),
    [
        ([1.0, 0.0], [5, 5], True),
        ([1.0, 0.0], [1, 6], False),
        ([1.0, TIMEOUT], [1, 6], False),
        ([1.0, UNPARSABLE], [1, 5], True),
        ([], [], True),
    ],
)
def test_a_group_stays_whose_longest_response_is_within_the_bound(
    results: list[Result], lengths: list[int], kept: bool
) -> None:
    assert MaxLength(tokens=5).keep(group_of(results, lengths)) is kept


def test_one_truncated_response_drops_its_group_and_an_unparsable_one_that_ended_does_not() -> None:
    assert DropTruncated().keep(group_of([1.0, 0.0, TIMEOUT]))
    group = group_of([1.0, UNPARSABLE])
    assert [a.stop for a in group.attempts] == ["eos", "length"]
    assert not DropTruncated().keep(group)
    ended = replace(group, attempts=tuple(replace(a, stop="stop") for a in group.attempts))
    assert DropTruncated().keep(ended)


@pytest.mark.parametrize(
    ("results", "kept"),
    [
        ([1.0, 0.0, 0.0, 0.0], True),
        ([1.0, 1.0, 1.0, 0.0], True),
        ([1.0, 0.0, 0.0, 0.0, 0.0], False),
        ([1.0, 1.0, 1.0, 1.0, 0.0], False),
        ([1.0, 0.0, 0.0, 0.0, TIMEOUT], True),
        ([1.0, 0.9], True),
        ([0.9, 0.9], False),
        ([1.0, 1.0], False),
        ([TIMEOUT, ERROR], False),
        ([], False),
    ],
)
def test_a_band_counts_right_among_scored_and_holds_both_its_ends(results: list[Result], kept: bool) -> None:
    assert DifficultyBand(low=0.25, high=0.75).keep(group_of(results)) is kept


@pytest.mark.parametrize(
    ("results", "least", "kept"),
    [
        ([1.0, 0.0], 0.7, True),  # σ = √½ = .7071
        ([1.0, 0.0], 0.71, False),
        ([1.0, 0.0, 0.0, 0.0], 0.5, True),  # k(G − k) / (G(G − 1)) = 3 / 12
        ([1.0, 0.0, 0.0, 0.0], 0.51, False),
        ([0.2, 0.4, TIMEOUT], 0.14, True),
        ([0.2, 0.4, TIMEOUT], 0.15, False),
        ([0.1, 0.1, 0.1], 1e-9, False),
        ([1.0, ERROR], 1e-9, False),
        ([], 1e-9, False),
    ],
)
def test_a_group_stays_whose_scored_rewards_spread_at_least_so_much(
    results: list[Result], least: float, kept: bool
) -> None:
    assert RewardSpread(least=least).keep(group_of(results)) is kept


def test_the_spread_is_that_of_the_whole_reward() -> None:
    group = group_of([0.0, 0.0])
    shaped = replace(group, attempts=tuple(replace(a, reward=-0.5 * n) for n, a in enumerate(group.attempts)))
    assert not RewardSpread(least=0.3).keep(group)
    assert RewardSpread(least=0.3).keep(shaped)


def test_a_bound_that_drops_nothing_is_none() -> None:
    for wrong in (0.0, -1.0):
        with pytest.raises(ValidationError):
            RewardSpread(least=wrong)
    for low, high in ((-0.1, 0.5), (0.5, 1.1)):
        with pytest.raises(ValidationError):
            DifficultyBand(low=low, high=high)
