"""Each law can fail: a component that breaks one is caught, in words that name it."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from prerl_components.filters.mixed_groups import MixedGroups
from prerl_components.objectives.presets.group_relative import Grpo
from prerl_components.objectives.presets.pretrain_space import MarginalNsr
from prerl_components.objectives.token_losses.next_token import NextToken
from prerl_components.optimizers.adamw import Adamw
from prerl_components.probes.response_length import ResponseLength
from prerl_components.schedules.fixed_steps import FixedSteps
from pydantic import ConfigDict, Field
from torch import Tensor

from prerl_spec.sdk import (
    Array,
    Attempt,
    Codec,
    Component,
    Credit,
    Group,
    Need,
    OnePartObjective,
    Outcome,
    Prompt,
    Step,
    Tokens,
    Verdict,
    minus_mean,
)
from prerl_spec.testing.laws import (
    check_component,
    check_filter,
    check_objective,
    check_optimizer,
    check_probe,
    check_reward,
    check_schedule,
    check_verifier,
    check_view,
)
from prerl_spec.testing.laws.broken import LawBroken
from prerl_spec.testing.laws.schedule import made_record
from prerl_spec.testing.tiny import byte_tokenizer
from prerl_spec.types import StepRecord
from prerl_spec.views import Conditional, Marginal


class AveragesInTerms(Grpo):
    """Divides by what happens to be in the pass."""

    def terms(self, logp: Mapping[Need, Tensor], advantage_n: Tensor, tokens: Tokens) -> Tensor:
        return super().terms(logp, advantage_n, tokens) / tokens.num_tokens


class TrainsTimeouts(Grpo):
    """Takes a timeout for a wrong answer."""

    def credit(self, step: Step, known: Mapping[Need, Array]) -> Credit:
        credit = super().credit(step, known)
        unscored_N = np.isnan(step.reward_S)[step.tokens.sample_N]
        return Credit(credit.advantage_N, np.where(unscored_N, self.coefficient, credit.weight_N), credit.denominator)


class DividesByNothing(NextToken):
    """0/0 where a step has no token."""

    def credit(self, step: Step, known: Mapping[Need, Array]) -> Credit:
        size = step.tokens.num_tokens
        return Credit(np.zeros(size), np.full(size, self.coefficient / np.float64(size)), "tokens")


class IgnoresItsCoefficient(NextToken):
    """Reads the setting nowhere."""

    def credit(self, step: Step, known: Mapping[Need, Array]) -> Credit:
        return NextToken().credit(step, known)


class LearnsFromConstants(Grpo):
    """No baseline, though it claims one."""

    def credit(self, step: Step, known: Mapping[Need, Array]) -> Credit:
        scored_N = ~np.isnan(step.reward_S)[step.tokens.sample_N]
        return Credit(np.ones(step.tokens.num_tokens), scored_N * self.coefficient, "1")


class FavoursTheFirst(Grpo):
    """Weighs groups by their place."""

    def credit(self, step: Step, known: Mapping[Need, Array]) -> Credit:
        credit = super().credit(step, known)
        place_N = 1.0 + step.group_S[step.tokens.sample_N]
        return Credit(credit.advantage_N, credit.weight_N / place_N, credit.denominator)


class OneNumber(Grpo):
    """Sums by itself."""

    def terms(self, logp: Mapping[Need, Tensor], advantage_n: Tensor, tokens: Tokens) -> Tensor:
        return super().terms(logp, advantage_n, tokens).sum()


class RaisesWrong(Grpo):
    """A·log π, which descent lowers where A is above 0."""

    def terms(self, logp: Mapping[Need, Tensor], advantage_n: Tensor, tokens: Tokens) -> Tensor:
        return -super().terms(logp, advantage_n, tokens)


class RaisesWrongOnPurpose(RaisesWrong):
    """The same, declared."""

    prefers_right = False


class NeedsOld(MarginalNsr):
    """Cannot do without recomputed old log-probabilities."""

    def terms(self, logp: Mapping[Need, Tensor], advantage_n: Tensor, tokens: Tokens) -> Tensor:
        old = Need(self.point().view, "old")
        return super().terms({**logp, old: logp.get(old, torch.zeros_like(advantage_n))}, advantage_n, tokens)


class Remembers(NextToken):
    """Changes its mind."""

    def credit(self, step: Step, known: Mapping[Need, Array]) -> Credit:
        credit = super().credit(step, known)
        return Credit(credit.advantage_N + np.random.default_rng().random(), credit.weight_N, credit.denominator)


class RoundedMean(OnePartObjective):
    """r − m, as its author would write it."""

    @property
    def min_group(self) -> int:
        return 2

    def needs(self) -> frozenset[Need]:
        return frozenset({Need(Conditional())})

    def minus(self, reward_s: Array) -> Array:
        return reward_s - reward_s.mean()

    def credit(self, step: Step, known: Mapping[Need, Array]) -> Credit:
        advantage_S = np.zeros(len(step.samples))
        for mine, reward_s in step.scored_groups():
            advantage_S[mine] = self.minus(reward_s)
        advantage_N = advantage_S[step.tokens.sample_N]
        return Credit(advantage_N, (advantage_N != 0) / max(1, step.tokens.num_tokens), "tokens")

    def terms(self, logp: Mapping[Need, Tensor], advantage_n: Tensor, tokens: Tokens) -> Tensor:
        return -advantage_n * logp[Need(Conditional())]


class ExactMean(RoundedMean):
    """The same with the function that the law names."""

    def minus(self, reward_s: Array) -> Array:
        return minus_mean(reward_s)


def test_the_rounding_error_of_a_mean_is_told_with_the_function_that_has_none() -> None:
    told = "every reward is 0.1 carry weight: 1.4e-17 of advantage, the rounding error of a mean"
    with pytest.raises(LawBroken, match=told) as broken:
        check_objective(RoundedMean())
    assert broken.value.help.startswith("`minus_mean(reward_s)` of prerl_spec.sdk is r − mean and exactly 0")
    check_objective(ExactMean())


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (AveragesInTerms(), "passes yield another gradient than one"),
        (TrainsTimeouts(), "a timeout or an error carries weight"),
        (DividesByNothing(), "divide by zero"),
        (IgnoresItsCoefficient(), "twice the coefficient is not twice the weight"),
        (LearnsFromConstants(), "where every reward is 0.0 carry weight"),
        (FavoursTheFirst(), "depends on the order of groups or attempts"),
        (OneNumber(), "must return one loss per token"),
        (RaisesWrong(), "which is minimised, −A·log π, not A·log π"),
        (NeedsOld(), "must use the detached current one"),
        (Remembers(), "it must be pure"),
    ],
    ids=lambda v: type(v).__name__ if isinstance(v, Component) else "",
)
def test_a_broken_objective_is_caught_by_the_law_it_breaks(broken: Component, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check_objective(broken)


def test_a_division_by_nothing_is_told_with_what_to_divide_by() -> None:
    with pytest.raises(LawBroken, match=r"credit\(\) fails on") as broken:
        check_objective(DividesByNothing())
    assert "divide by `max(1, n)`" in broken.value.help


def test_an_objective_may_declare_that_it_does_not_prefer_right_responses() -> None:
    check_objective(RaisesWrongOnPurpose())


class OneTooMany(FixedSteps):
    """Tests before it counts."""

    def after(self, record: StepRecord, state: Mapping[str, float]) -> tuple[Mapping[str, float], bool]:
        return {"steps": state["steps"] + 1}, state["steps"] >= self.steps


class CountsInPlace(FixedSteps):
    """Writes into the state it is given."""

    def after(self, record: StepRecord, state: Any) -> tuple[Mapping[str, float], bool]:
        state["steps"] += 1
        return state, state["steps"] >= self.steps


@pytest.mark.parametrize(
    ("broken", "words"),
    [(OneTooMany(steps=3), "not over after max_steps = 3"), (CountsInPlace(steps=3), "modifies the state")],
    ids=repr,
)
def test_a_broken_schedule_is_caught(broken: FixedSteps, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check_schedule(broken)
    assert made_record(3).step == 3


class ForgetsTheNorms(Adamw):
    """Leaves one-dimensional weights out."""

    def build(self, named_parameters: Iterable[tuple[str, Any]]) -> list[torch.optim.Optimizer]:
        return super().build((n, p) for n, p in named_parameters if p.ndim > 1)


class StartsHot(Adamw):
    """Doubles the learning rate."""

    def lr_factor(self, step: int, num_steps: int | None) -> float:
        return 2.0


@pytest.mark.parametrize(
    ("broken", "words"),
    [(ForgetsTheNorms(lr=1e-3), "a parameter is in no group"), (StartsHot(lr=1e-3), r"lr_factor\(0, 10\) is 2")],
    ids=repr,
)
def test_a_broken_optimizer_is_caught(broken: Adamw, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check_optimizer(broken)


class FirstIsRight(MixedGroups):
    """Looks at the first attempt only."""

    def keep(self, group: Group) -> bool:
        return bool(group.attempts) and group.attempts[0].reward == 1.0


class NoCount(ResponseLength):
    """A mean over nothing."""

    def measure(self, step: Step) -> Mapping[str, float]:
        return {"length": float("nan") if not step.samples else 1.0}


class Bare(Marginal):
    """Nothing before the response."""

    def context(self, prompt: Prompt, codec: Codec) -> tuple[int, ...]:
        return ()


class Endless(Component):
    """A reward without a bound."""

    kind = "reward"

    def reward(self, attempt: Attempt, group: Group) -> float:
        return float("inf")


class AlwaysRight(Component):
    """A verifier that likes everything."""

    kind = "verifier"
    num_workers: ClassVar[int] = 1
    seconds_allowed: ClassVar[float] = 1.0

    def judge(self, response: str, gold: str) -> Verdict:
        return Verdict(Outcome.RIGHT, 1.0)

    def check_gold(self, gold: str) -> str | None:
        return None


class Contradictory(AlwaysRight):
    """Tells right from wrong, and scores both alike."""

    def judge(self, response: str, gold: str) -> Verdict:
        return Verdict(Outcome.RIGHT if response == gold else Outcome.WRONG, 1.0)


def test_broken_filters_probes_views_rewards_and_verifiers_are_caught() -> None:
    with pytest.raises(AssertionError, match="the order of the attempts"):
        check_filter(FirstIsRight())
    with pytest.raises(AssertionError, match="metric length is nan"):
        check_probe(NoCount())
    with pytest.raises(AssertionError, match="the context is empty"):
        check_view(Bare(), Codec.of_tokenizer(byte_tokenizer()))
    with pytest.raises(AssertionError, match="reward\\(\\) returns inf"):
        check_reward(Endless())
    with pytest.raises(AssertionError, match="is right, not wrong"):
        check_verifier(AlwaysRight(), right=("4", "4"), wrong=("5", "4"))
    with pytest.raises(AssertionError, match="the verdict on '5' contradicts itself: wrong with a score of 1"):
        check_verifier(Contradictory(), right=("4", "4"), wrong=("5", "4"))


class Silent(Component):
    """A setting without a word."""

    kind = "reward"
    scale: float = 1.0


class Lax(Component):
    """Takes whatever is written."""

    model_config = ConfigDict(extra="ignore")
    kind = "reward"
    scale: float = Field(1.0, description="a factor")


def test_settings_must_be_described_and_unknown_ones_refused() -> None:
    with pytest.raises(AssertionError, match="scale has no description"):
        check_component(Silent())
    with pytest.raises(AssertionError, match="accepts unknown settings"):
        check_component(Lax())
