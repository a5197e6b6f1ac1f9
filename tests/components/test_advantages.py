"""What each sample has earned: an explicit loop for each formula, values by hand, and groups with nothing to compare."""

import math
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from prerl_components.advantages.batch_std import BatchStd
from prerl_components.advantages.batch_whitened import BatchWhitened
from prerl_components.advantages.best_of_group import BestOfGroup
from prerl_components.advantages.confidence_weighted import ConfidenceWeighted
from prerl_components.advantages.gdpo import Gdpo
from prerl_components.advantages.group_mean import GroupMean
from prerl_components.advantages.group_std import GroupStd
from prerl_components.advantages.leave_one_out import LeaveOneOut
from prerl_components.advantages.length_weighted import LengthWeighted
from prerl_components.advantages.max_rl import MaxRl
from prerl_components.advantages.minus_one import MinusOne
from prerl_components.advantages.nonzero_scaled import NonzeroScaled
from prerl_components.advantages.reward import Reward
from prerl_components.advantages.signed import Signed
from pydantic import ValidationError

from prerl_spec.sdk import Advantage, Array, Batch, Conditional, Need, Outcome, Step
from prerl_spec.testing.laws import check_advantage
from prerl_spec.testing.steps import Result, made_step

UNPARSABLE, TIMEOUT, ERROR = Outcome.UNPARSABLE, Outcome.TIMEOUT, Outcome.ERROR
ROOT = Path(__file__).parents[2]
OLD = Need(Conditional(), "old")

BINARY: list[list[Result]] = [[1.0, 0.0, 0.0], [1.0, 1.0, 0.0, 1.0, TIMEOUT], [0.0, 0.0], [ERROR, 1.0]]
GRADED: list[list[Result]] = [[0.2, 0.9, 0.4], [0.7, TIMEOUT, 0.7, 0.1], [0.5, 0.5], [0.3]]

Rewards = list[list[float | None]]
Lengths = list[list[int]]


def grouped(step: Step) -> tuple[Rewards, Lengths]:
    """Rewards and token counts, group by group, as plain lists."""
    rewards = [[a.reward for a in group.attempts] for group in step.groups]
    return rewards, [[a.num_trained for a in group.attempts] for group in step.groups]


def by_group(rule: Callable[[list[float], list[int]], list[float]]) -> Callable[[Rewards, Lengths], list[float]]:
    """A rule for the scored rewards of one group, applied to each group with two of them; 0 elsewhere."""

    def whole(rewards: Rewards, lengths: Lengths) -> list[float]:
        found = []
        for reward_s, length_s in zip(rewards, lengths, strict=True):
            mine = [i for i, reward in enumerate(reward_s) if reward is not None]
            scored = [r for r in reward_s if r is not None]
            values = rule(scored, [length_s[i] for i in mine]) if len(mine) > 1 else [0.0] * len(mine)
            earned = dict(zip(mine, values, strict=True))
            found += [earned.get(i, 0.0) for i in range(len(reward_s))]
        return found

    return whole


def mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def unbiased_std(values: Sequence[float], weights: Sequence[int] | None = None) -> float:
    counts = [1] * len(values) if weights is None else weights
    total = sum(counts)
    center = math.fsum(w * v for w, v in zip(counts, values, strict=True)) / total
    return math.sqrt(math.fsum(w * (v - center) ** 2 for w, v in zip(counts, values, strict=True)) / (total - 1))


def group_mean(reward_s: list[float], length_s: list[int]) -> list[float]:
    return [r - mean(reward_s) for r in reward_s]


def group_std(reward_s: list[float], length_s: list[int]) -> list[float]:
    return [(r - mean(reward_s)) / (unbiased_std(reward_s) + 1e-6) for r in reward_s]


def leave_one_out(reward_s: list[float], length_s: list[int]) -> list[float]:
    others = [[r for j, r in enumerate(reward_s) if j != i] for i in range(len(reward_s))]
    return [r - mean(other) for r, other in zip(reward_s, others, strict=True)]


def max_rl(reward_s: list[float], length_s: list[int]) -> list[float]:
    center = mean(reward_s)
    return [(r - center) / center if center > 0 else 0.0 for r in reward_s]


def length_weighted(reward_s: list[float], length_s: list[int]) -> list[float]:
    baseline = math.fsum(n * r for n, r in zip(length_s, reward_s, strict=True)) / sum(length_s)
    return [r - baseline for r in reward_s]


def best_of_group(reward_s: list[float], length_s: list[int]) -> list[float]:
    others = [[r for j, r in enumerate(reward_s) if j != i] for i in range(len(reward_s))]
    return [max(reward_s) - max(other) for other in others]


def nonzero_scaled(rewards: Rewards, lengths: Lengths) -> list[float]:
    scored = [[r for r in group if r is not None] for group in rewards]
    alpha = sum(map(len, scored)) / sum(len(group) for group in scored if len(set(group)) > 1)
    return [alpha * value for value in by_group(group_mean)(rewards, lengths)]


def batch_std(rewards: Rewards, lengths: Lengths) -> list[float]:
    std = unbiased_std([r for group in rewards for r in group if r is not None])
    return [value / (std + 1e-6) for value in by_group(group_mean)(rewards, lengths)]


def gdpo(rewards: Rewards, lengths: Lengths) -> list[float]:
    """With one part: GRPO's advantages, divided by their std over the samples that are compared."""
    value = by_group(group_std)(rewards, lengths)
    compared = [sum(r is not None for r in group) > 1 for group in rewards]
    counts = [c and r is not None for group, c in zip(rewards, compared, strict=True) for r in group]
    std = unbiased_std([v for v, c in zip(value, counts, strict=True) if c])
    return [v / (std + 1e-6) for v in value]


def batch_whitened(rewards: Rewards, lengths: Lengths) -> list[float]:
    flat = list(zip((r for g in rewards for r in g), (n for g in lengths for n in g), strict=True))
    return whitened([None if r is None else (r, n) for r, n in flat])


def batch_whitened_with_baseline(rewards: Rewards, lengths: Lengths) -> list[float]:
    compared = [sum(r is not None for r in group) > 1 for group in rewards]
    value = iter(by_group(group_mean)(rewards, lengths))
    found: list[tuple[float, int] | None] = []
    for reward_s, length_s, counts in zip(rewards, lengths, compared, strict=True):
        for r, n in zip(reward_s, length_s, strict=True):
            x = next(value)
            found.append((x, n) if r is not None and counts else None)
    return whitened(found)


def whitened(values: list[tuple[float, int] | None]) -> list[float]:
    of_tokens = [x for value in values if value is not None for x in [value[0]] * value[1]]
    center, std = mean(of_tokens), unbiased_std(of_tokens)
    return [0.0 if value is None else (value[0] - center) / (std + 1e-6) for value in values]


def flat(rule: Callable[[float], float]) -> Callable[[Rewards, Lengths], list[float]]:
    return lambda rewards, lengths: [0.0 if r is None else rule(r) for group in rewards for r in group]


REFERENCES: list[tuple[Advantage, Callable[[Rewards, Lengths], list[float]]]] = [
    (Reward(), flat(lambda r: r)),
    (MinusOne(), flat(lambda r: r - 1)),
    (Signed(), flat(lambda r: 1.0 if r >= 1 else -1.0)),
    (GroupMean(), by_group(group_mean)),
    (GroupStd(), by_group(group_std)),
    (LeaveOneOut(), by_group(leave_one_out)),
    (MaxRl(), by_group(max_rl)),
    (LengthWeighted(), by_group(length_weighted)),
    (BestOfGroup(), by_group(best_of_group)),
    (NonzeroScaled(), nonzero_scaled),
    (BatchStd(), batch_std),
    (Gdpo(), gdpo),
    (BatchWhitened(), batch_whitened),
    (BatchWhitened(baseline=True), batch_whitened_with_baseline),
]


def earned(part: Advantage, results: Sequence[Sequence[Result]], lengths: list[int] | None = None) -> Array:
    return part.advantage(Batch(made_step(results, lengths=lengths)))


@pytest.mark.parametrize("results", [BINARY, GRADED], ids=["binary", "graded"])
@pytest.mark.parametrize(("part", "reference"), REFERENCES, ids=lambda p: type(p).__name__)
def test_an_advantage_is_that_of_an_explicit_loop(
    part: Advantage, reference: Callable[[Rewards, Lengths], list[float]], results: list[list[Result]]
) -> None:
    step = made_step(results, seed=3)
    assert_allclose(part.advantage(Batch(step)), reference(*grouped(step)), rtol=1e-12, atol=1e-15)


# One right of three with 2, 3 and 5 tokens, three right of four with 1, 1, 2 and 4.
HAND: list[list[Result]] = [[1.0, 0.0, 0.0], [1.0, 1.0, 0.0, 1.0]]
LENGTHS = [2, 3, 5, 1, 1, 2, 4]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (LeaveOneOut(), [1, -1 / 2, -1 / 2, 1 / 3, 1 / 3, -1, 1 / 3]),
        (MaxRl(), [2, -1, -1, 1 / 3, 1 / 3, -1, 1 / 3]),
        (LengthWeighted(), [4 / 5, -1 / 5, -1 / 5, 1 / 4, 1 / 4, -3 / 4, 1 / 4]),
        (BestOfGroup(), [1, 0, 0, 0, 0, 0, 0]),
        (NonzeroScaled(), [2 / 3, -1 / 3, -1 / 3, 1 / 4, 1 / 4, -3 / 4, 1 / 4]),
        (Signed(), [1, -1, -1, 1, 1, -1, 1]),
        (MinusOne(), [0, -1, -1, 0, 0, -1, 0]),
    ],
    ids=lambda p: type(p).__name__,
)
def test_an_advantage_by_hand(part: Advantage, expected: list[float]) -> None:
    assert_allclose(earned(part, HAND, LENGTHS), expected, rtol=1e-15)


def test_a_response_of_several_tokens_counts_as_many_times_in_whitening() -> None:
    """A right one of one token, a wrong one of three: mean 1/4, variance 3/4 · 1/4 · 4/3 = 1/4."""
    value = earned(BatchWhitened(), [[1.0], [0.0]], [1, 3])
    assert_allclose(value, [0.75 / (0.5 + 1e-6), -0.25 / (0.5 + 1e-6)], rtol=1e-15)


def test_the_std_of_lite_ppo_is_that_of_raw_rewards_over_the_whole_batch() -> None:
    """1 0 | 1 1: mean 3/4, variance (3 · 1/16 + 9/16)/3 = 1/4; the second group has no signal but widens no std of r − m."""
    value = earned(BatchStd(), [[1.0, 0.0], [1.0, 1.0]])
    assert_allclose(value, [0.5 / (0.5 + 1e-6), -0.5 / (0.5 + 1e-6), 0, 0], rtol=1e-15)


def test_gpg_counts_samples_of_groups_with_signal_not_groups_and_not_right_samples() -> None:
    """Two of six samples, in one of two groups, have a signal: α = 3, where groups say 2 and right samples say 6/5."""
    assert_allclose(earned(NonzeroScaled(), [[1.0, 0.0], [1.0] * 4]), [1.5, -1.5, 0, 0, 0, 0], rtol=1e-15)


def test_the_only_right_sample_of_a_group_earns_its_lead_and_a_second_one_takes_it_away() -> None:
    assert earned(BestOfGroup(), [[0.0, 1.0, 0.25]]).tolist() == [0.0, 0.75, 0.0]
    assert earned(BestOfGroup(), [[1.0, 1.0, 0.0]]).tolist() == [0.0, 0.0, 0.0]
    assert earned(BestOfGroup(), [[0.1 + 0.2, 0.3]]).tolist() == [0.0, 0.0]  # equal but for rounding


def test_max_rl_never_turns_signs_where_reward_terms_make_the_mean_negative() -> None:
    assert not earned(MaxRl(), [[0.0, -1.0], [0.0, 0.0], [-0.5, 0.5]]).any()


def test_a_wrong_answer_given_with_confidence_is_pushed_harder() -> None:
    """Token probabilities 1/2, 1/8 and 1/4: a geometric mean of 1/4; right samples are not weighted."""
    step = made_step([[0.0, 1.0, TIMEOUT, 0.0]], lengths=[3, 1, 1, 2])
    old = {OLD: np.log([1 / 2, 1 / 8, 1 / 4, 1e-3, 1.0, 1e-3, 1e-3])}
    assert_allclose(ConfidenceWeighted().advantage(Batch(step, old)), [-1 / 4, 1, 0, -0.05], rtol=1e-15)
    assert_allclose(ConfidenceWeighted(floor=0.0).advantage(Batch(step, old)), [-1 / 4, 1, 0, -1e-3], rtol=1e-13)
    assert ConfidenceWeighted().reads() == {OLD}


def test_an_empty_response_has_no_confidence_to_scale_by() -> None:
    step = made_step([[0.0, 0.0]], lengths=[0, 1])
    assert_allclose(ConfidenceWeighted().advantage(Batch(step, {OLD: np.log([0.5])})), [-1, -0.5], rtol=1e-15)


def with_parts(parts_PG: Sequence[Sequence[tuple[float, float] | None]]) -> Step:
    """A step whose rewards are the sum of a score and a format bonus; None is a timeout."""
    step = made_step([[TIMEOUT if p is None else p[0] for p in parts] for parts in parts_PG])
    named = [[None if p is None else {"verdict": p[0], "format": p[1]} for p in parts] for parts in parts_PG]
    groups = tuple(
        replace(g, attempts=tuple(a if p is None else replace(a, parts=p, reward=sum(p.values())) for a, p in pairs))
        for g, pairs in (
            (g, list(zip(g.attempts, parts, strict=True))) for g, parts in zip(step.groups, named, strict=True)
        )
    )
    return replace(step, groups=groups, part_names=("verdict", "format"))


def test_gdpo_normalises_each_reward_before_it_adds_them() -> None:
    """The two parts are each other's opposite: of equal weight they cancel, without a rounding error that is divided by a
    std near 0; of unequal weight the heavier one decides, however large the other one is."""
    opposite = with_parts([[(1.0, 0.0), (0.0, 1.0), (0.0, 1.0), None]])
    assert not Gdpo().advantage(Batch(opposite)).any()
    step = with_parts([[(1.0, 0.0), (0.0, 10.0), (0.0, 10.0), None]])
    std = math.sqrt(1 / 3)
    for weights in ({"format": 0.5}, {"verdict": 2.0}):
        value = Gdpo(weights=weights).advantage(Batch(step))
        assert_allclose(value, [2 / 3 / std, -1 / 3 / std, -1 / 3 / std, 0], rtol=1e-5)  # 1e-6 is added to each std


def test_gdpo_sees_parts_where_their_sums_are_equal() -> None:
    step = with_parts([[(1.0, 0.0), (0.5, 0.5), (0.9, 0.1)], [(1.0, 0.5), (1.0, 0.5)]])
    assert not GroupStd().advantage(Batch(step)).any()
    value = Gdpo(weights={"format": 0.1}).advantage(Batch(step))
    assert value[0] > value[2] > 0 > value[1]
    assert_array_equal(value[3:], 0.0)


def test_gdpo_asks_for_the_parts_that_it_names() -> None:
    assert Gdpo().consumes() == frozenset()
    assert Gdpo(weights={"format": 2.0, "verdict": 1.0}).consumes() == {"reward_part[format]", "reward_part[verdict]"}
    with pytest.raises(ValidationError):
        Gdpo(weights={"format": 0.0})


PARTS = [part for part, _ in REFERENCES]
OF_GROUPS = [part for part in PARTS if part.baseline_over == "group"]
LONE: list[list[list[Result]]] = [
    [[1.0, TIMEOUT]],
    [[TIMEOUT, 0.0, ERROR], [0.5]],
    [[1.0]],
    [[TIMEOUT, TIMEOUT]],
    [[]],
    [],
]


@pytest.mark.parametrize("lone", LONE, ids=str)
@pytest.mark.parametrize("part", [*OF_GROUPS, BatchWhitened(baseline=True)], ids=lambda p: type(p).__name__)
def test_fewer_than_two_scored_samples_have_nothing_to_compare(part: Advantage, lone: list[list[Result]]) -> None:
    assert not earned(part, lone).any()


@pytest.mark.parametrize("part", OF_GROUPS, ids=lambda p: type(p).__name__)
def test_equal_rewards_in_a_group_earn_exactly_nothing_beside_groups_with_signal(part: Advantage) -> None:
    """0.1 + 0.1 + 0.1 over 3 is not 0.1: divided by a std near 0, the difference would train."""
    assert np.full(3, 0.1).mean() != 0.1
    value = earned(part, [[0.1] * 3, [1.0, 0.0, 0.3], [0.7] * 7], [3, 1, 7, 1, 2, 3, *range(1, 8)])
    assert value[3:6].any()
    assert_array_equal(value[[0, 1, 2, *range(6, 13)]], 0.0)


@pytest.mark.parametrize("baseline", [False, True])
def test_equal_rewards_of_a_whole_batch_are_whitened_to_exactly_nothing(baseline: bool) -> None:
    assert_array_equal(earned(BatchWhitened(baseline=baseline), [[0.1] * 3, [0.1] * 7]), 0.0)


def test_only_whitening_with_a_baseline_asks_for_a_group_as_group_baselines_do() -> None:
    assert [part.min_group for part in (BatchWhitened(), BatchWhitened(baseline=True))] == [1, 2]
    assert {part.min_group for part in OF_GROUPS} == {2}
    assert {part.min_group for part in (Reward(), MinusOne(), Signed(), ConfidenceWeighted())} == {1}


def test_rounding_chooses_no_sign() -> None:
    """The middle one of 0.1, 0.2, 0.3 lies 3e-17 below the computed mean: it must not be trained on."""
    assert 0.2 - np.mean([0.1, 0.2, 0.3]) < 0
    for part in (GroupMean(), GroupStd(), LeaveOneOut(), MaxRl(), BatchStd(), NonzeroScaled()):
        assert earned(part, [[0.1, 0.2, 0.3]])[1] == 0.0, part


@pytest.mark.parametrize(
    "part",
    [*PARTS, Gdpo(weights={"format": 0.5}), ConfidenceWeighted(), ConfidenceWeighted(floor=0.5)],
    ids=lambda p: f"{type(p).__name__} {p.settings()}",
)
def test_every_advantage_obeys_the_laws(part: Advantage) -> None:
    check_advantage(part)


def test_every_advantage_of_the_entry_point_table_has_a_reference_here() -> None:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    written = {value.rpartition(":")[2] for value in table["prerl_spec.advantage"].values()}
    assert written == {type(part).__name__ for part in (*PARTS, ConfidenceWeighted())}
