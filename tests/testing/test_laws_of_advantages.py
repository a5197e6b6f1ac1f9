"""Each law of advantages and ramps can fail: what breaks one is caught, in words that say what would be right."""

from collections.abc import Callable
from typing import ClassVar

import numpy as np
import pytest
from prerl_components.advantages.group_mean import GroupMean
from prerl_components.advantages.signed import Signed
from prerl_components.ramps.cosine import Cosine
from prerl_components.ramps.linear import Linear

from prerl_spec.sdk import Advantage, Array, Batch, Component, Conditional, Need, Ramp, State, StepRecord, minus_mean
from prerl_spec.testing.conformance.of_kind import check_laws
from prerl_spec.testing.laws import check_advantage, check_ramp

OLD = Need(Conditional(), "old")


class ByHand(Advantage):
    """A group's mean as an author would write it first."""

    baseline_over = "group"
    shift = True
    scale = 1

    def baseline(self, reward_s: Array) -> Array:
        return reward_s - reward_s.mean()

    def advantage(self, batch: Batch) -> Array:
        value_S = np.zeros(len(batch.step.samples))
        for mine, reward_s in batch.step.scored_groups():
            value_S[mine] = self.baseline(reward_s)
        return value_S


class Safe(ByHand):
    """The same with the helper of the sdk."""

    def baseline(self, reward_s: Array) -> Array:
        return minus_mean(reward_s)


class SaysNothing(Safe):
    """A group's mean that does not declare itself."""

    baseline_over = "none"


class OfTheBatch(Safe):
    """Declares a batch's baseline, and takes a group's."""

    baseline_over = "batch"


class NotShiftable(Safe):
    """Does not know that a constant is taken off."""

    shift = False


class ClaimsToShift(ByHand):
    """The reward itself, which a constant moves."""

    baseline_over = "none"

    def advantage(self, batch: Batch) -> Array:
        return np.nan_to_num(batch.step.reward_S, nan=0.0)


class ClaimsToWhiten(Safe):
    """Divides by nothing, and says that a factor on rewards changes nothing."""

    scale = 0


class CountsTimeouts(ByHand):
    """Takes a sample without a reward for one with reward 0, in the mean."""

    def advantage(self, batch: Batch) -> Array:
        step, value_S = batch.step, np.zeros(len(batch.step.samples))
        reward_S = np.nan_to_num(step.reward_S, nan=0.0)
        for group in range(len(step.groups)):
            mine = step.group_S == group
            value_S[mine] = minus_mean(reward_S[mine])
        return np.where(np.isnan(step.reward_S), 0.0, value_S)


class TrainsTimeouts(Safe):
    """Punishes a sample without a reward."""

    def advantage(self, batch: Batch) -> Array:
        return np.where(np.isnan(batch.step.reward_S), -1.0, super().advantage(batch))


class LoneOnesEarn(Safe):
    """Gives a sample that is alone its reward: what some do with a group of one."""

    def advantage(self, batch: Batch) -> Array:
        value_S, step = super().advantage(batch), batch.step
        for group in range(len(step.groups)):
            mine = np.flatnonzero((step.group_S == group) & ~np.isnan(step.reward_S))
            if len(mine) == 1:
                value_S[mine] = 2.0 * step.reward_S[mine]
        return value_S


class FirstComesFirst(Safe):
    """Looks at the place of an attempt in its group."""

    def baseline(self, reward_s: Array) -> Array:
        return minus_mean(reward_s) * np.linspace(1, 2, len(reward_s))


class LaterGroupsWeighMore(Safe):
    """Looks at the place of a group in its batch."""

    def advantage(self, batch: Batch) -> Array:
        return super().advantage(batch) * (1.0 + batch.step.group_S)


class DividesByNothing(Safe):
    """0/0 in a group of equal rewards."""

    scale = 0

    def baseline(self, reward_s: Array) -> Array:
        return minus_mean(reward_s) / np.std(reward_s)


class Endless(Safe):
    """Not finite where nothing is scored."""

    def advantage(self, batch: Batch) -> Array:
        value_S = super().advantage(batch)
        return value_S if np.isfinite(batch.step.reward_S).any() else np.full(value_S.shape, np.inf)


class Tokenwise(Safe):
    """One value for each token, and declares one for each sample."""

    def advantage(self, batch: Batch) -> Array:
        return super().advantage(batch)[batch.step.tokens.sample_N]


class Coarse(Safe):
    """Half of the digits."""

    def advantage(self, batch: Batch) -> Array:
        return super().advantage(batch).astype(np.float32)  # type: ignore[return-value]


class ReadsInSecret(Safe):
    """Reads a vector that it does not declare."""

    def advantage(self, batch: Batch) -> Array:
        return super().advantage(batch) + 0.0 * batch.known[OLD].sum()


class ReadsTheFuture(Safe):
    """Asks for log-probabilities with gradient."""

    def reads(self) -> frozenset[Need]:
        return frozenset({Need(Conditional(), "policy")})


class Writes(Safe):
    """Whitens the rewards in place."""

    def advantage(self, batch: Batch) -> Array:
        value_S = super().advantage(batch)
        batch.step.reward_S[:] = value_S
        return value_S


class Remembers(Safe):
    """Another result in each call."""

    calls: ClassVar[list[int]] = []

    def advantage(self, batch: Batch) -> Array:
        self.calls.append(1)
        return super().advantage(batch) * len(self.calls)


class Silent(Safe):
    """Nothing is ever earned."""

    def advantage(self, batch: Batch) -> Array:
        return 0.0 * super().advantage(batch)


class OfOneSign(Safe):
    """Declares that it never punishes."""

    sign = "positive"


class NeedsNoGroup(Safe):
    """A group's baseline for groups of one."""

    @property
    def min_group(self) -> int:
        return 1


BROKEN: list[tuple[type[Advantage], str]] = [
    (ByHand, r"rounding error of a mean.*`minus_mean` and `without_rounding` of prerl_spec\.sdk"),
    (SaysNothing, r"declare baseline_over = 'group'"),
    (OfTheBatch, r"declare baseline_over = 'group'"),
    (NotShiftable, r"declare shift = True"),
    (ClaimsToShift, r"shift = True, and adding 0\.5 to every reward changes"),
    (ClaimsToWhiten, r"4 times as much: declare scale = 1"),
    (CountsTimeouts, r"leave NaN out of every mean"),
    (TrainsTimeouts, r"it must earn 0"),
    (LoneOnesEarn, r"fewer than two scored samples"),
    (FirstComesFirst, r"order of attempts in a group"),
    (LaterGroupsWeighMore, r"order of groups"),
    (DividesByNothing, r"advantage\(\) fails on \d+ samples of \d+ tokens: .*divi"),
    (Endless, r"not finite on 2 samples"),
    (Tokenwise, r"with per = 'sample' it must have one value per sample"),
    (Coarse, r"returns float32"),
    (ReadsInSecret, r"which reads\(\) does not name"),
    (ReadsTheFuture, r"and read `old`"),
    (Writes, r"it must be pure"),
    (Remembers, r"another result when called again"),
    (Silent, r"0 for every sample"),
    (OfOneSign, r'sign = "positive"'),
    (NeedsNoGroup, r"min_group 1"),
]


@pytest.mark.parametrize(("cls", "words"), BROKEN, ids=lambda p: p.__name__ if isinstance(p, type) else "")
def test_a_broken_advantage_is_told_what_would_be_right(cls: type[Advantage], words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check_advantage(cls())


def test_the_laws_hold_for_a_group_mean_with_the_safe_helper() -> None:
    check_advantage(Safe())


class PerToken(Safe):
    """The group's mean, weighed by a token's own log-probability."""

    per = "token"

    def reads(self) -> frozenset[Need]:
        return frozenset({OLD})

    def advantage(self, batch: Batch) -> Array:
        return super().advantage(batch)[batch.step.tokens.sample_N] * np.exp(batch.known[OLD])


class ByPlace(PerToken):
    """Weighs tokens by their place in the batch."""

    def advantage(self, batch: Batch) -> Array:
        value_N = super().advantage(batch)
        return value_N * np.linspace(1, 2, len(value_N))


class Remembering(Advantage):
    """A = r − b, b the mean reward of the step before; 0 in the first one."""

    def advantage(self, batch: Batch) -> Array:
        return np.nan_to_num(batch.step.reward_S - float(batch.state["past"]), nan=0.0)  # type: ignore[arg-type]

    def initial(self) -> State:
        return {"past": 0.0}

    def after(self, batch: Batch, record: StepRecord, state: State) -> State:
        scored = batch.step.reward_S[~np.isnan(batch.step.reward_S)]
        return {"past": float(scored.mean())} if len(scored) else state


class Overwriting(Remembering):
    """Writes into the state that it is given."""

    def after(self, batch: Batch, record: StepRecord, state: State) -> State:
        state["past"] = 1.0  # type: ignore[index]
        return state


def test_a_component_that_remembers_is_judged_with_a_past() -> None:
    """In the first step its advantage is the reward, which follows a factor; with a baseline from the past it does not."""
    check_advantage(Remembering())
    with pytest.raises(AssertionError, match="modifies the state"):
        check_advantage(Overwriting())


class OfAPart(Safe):
    """The part of one reward term, the group's mean taken off."""

    def consumes(self) -> frozenset[str]:
        return frozenset({"reward_part[style]"})

    def advantage(self, batch: Batch) -> Array:
        value_S = np.zeros(len(batch.step.samples))
        for mine, _ in batch.step.scored_groups():
            value_S[mine] = minus_mean(batch.step.parts_S["style"][mine])
        return value_S


class OfAPartInSecret(OfAPart):
    """Does not say which part it reads."""

    def consumes(self) -> frozenset[str]:
        return frozenset()


def test_a_part_of_the_reward_that_an_advantage_consumes_is_there() -> None:
    check_advantage(OfAPart())
    with pytest.raises(AssertionError, match=r"reads 'style'.*`reward_part\[NAME\]`"):
        check_advantage(OfAPartInSecret())


def test_advantages_per_token_obey_the_same_laws() -> None:
    check_advantage(PerToken())
    with pytest.raises(AssertionError, match="order of attempts"):
        check_advantage(ByPlace())


class Falling(Ramp):
    """Below 0 in the end."""

    def at(self, step: int) -> float:
        return 1.0 - step


class Exploding(Ramp):
    """Beyond every number."""

    def at(self, step: int) -> float:
        return float("inf") if step > 100 else 1.0


class Counting(Ramp):
    """A function of how often it was asked."""

    calls: ClassVar[list[int]] = []

    def at(self, step: int) -> float:
        self.calls.append(step)
        return float(len(self.calls))


class InWords(Ramp):
    """No number."""

    def at(self, step: int) -> float:
        return "much"  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("ramp", "words"),
    [
        (Falling(), "at least 0"),
        (Exploding(), "at\\(1000000\\) is inf"),
        (Counting(), "a function of settings and step alone"),
        (InWords(), "returns a str, not a number"),
    ],
    ids=["falling", "exploding", "counting", "words"],
)
def test_a_broken_ramp_is_told_what_would_be_right(ramp: Ramp, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check_ramp(ramp)


@pytest.mark.parametrize("ramp", [Linear, Cosine])
def test_the_built_in_ramps_obey_the_laws_upwards_and_downwards(ramp: Callable[..., Component]) -> None:
    for start, end in ((0.0, 1.0), (1.0, 0.0), (0.3, 0.3)):
        check_ramp(ramp(start=start, end=end, steps=7))


class Backwards(Safe):
    """m − r: wrong samples are reinforced."""

    def baseline(self, reward_s: Array) -> Array:
        return -minus_mean(reward_s)


class BackwardsByToken(Backwards):
    """The same for each token."""

    per = "token"

    def advantage(self, batch: Batch) -> Array:
        tokens = batch.step.tokens
        return super().advantage(batch)[tokens.sample_N]


class BackwardsOnPurpose(Backwards):
    """The same, declared."""

    monotone = False


@pytest.mark.parametrize("advantage", [Backwards(), BackwardsByToken()], ids=["sample", "token"])
def test_a_higher_reward_earns_no_less_unless_declared(advantage: Advantage) -> None:
    with pytest.raises(AssertionError, match=r"with reward 0 earns .*: a higher reward must earn no less"):
        check_advantage(advantage)
    check_advantage(BackwardsOnPurpose())


def test_plugin_check_finds_the_kinds_own_laws() -> None:
    for sound in (GroupMean(), Signed(), Linear(start=0.0, end=1.0, steps=3)):
        check_laws(sound, is_default=True)
    with pytest.raises(AssertionError, match="minus_mean"):
        check_laws(ByHand(), is_default=True)
    with pytest.raises(AssertionError, match="at least 0"):
        check_laws(Falling(), is_default=True)
