"""Every preset is the point of the product that it names: credits and terms to the last bit."""

from typing import Any

import numpy as np
import pytest
import torch
from prerl_components.advantages.batch_std import BatchStd
from prerl_components.advantages.batch_whitened import BatchWhitened
from prerl_components.advantages.best_of_group import BestOfGroup
from prerl_components.advantages.confidence_weighted import ConfidenceWeighted
from prerl_components.advantages.gdpo import Gdpo
from prerl_components.advantages.group_mean import GroupMean
from prerl_components.advantages.group_std import GroupStd
from prerl_components.advantages.leave_one_out import LeaveOneOut
from prerl_components.advantages.length_weighted import LengthWeighted
from prerl_components.advantages.max_rl import MaxRl as MaxRlAdvantage
from prerl_components.advantages.minus_one import MinusOne
from prerl_components.advantages.nonzero_scaled import NonzeroScaled
from prerl_components.advantages.reward import Reward
from prerl_components.advantages.signed import Signed
from prerl_components.objectives.gradient_objective import GradientObjective
from prerl_components.objectives.nothing import Nothing
from prerl_components.objectives.policy_gradient import PolicyGradient
from prerl_components.objectives.presets.group_relative import Dapo, DrGrpo, Grpo, LitePpo, MaxRl
from prerl_components.objectives.presets.ppo import PpoClip, ReinforcePp
from prerl_components.objectives.presets.pretrain_space import MarginalNsr, MarginalPg, MarginalPsr
from prerl_components.objectives.presets.reinforce import Gpg, Opo, Reinforce, Rloo
from prerl_components.objectives.presets.sign_weighted import CwNsr, Nsr, Psr, WReinforce
from prerl_components.objectives.token_losses.next_token import NextToken
from prerl_components.objectives.token_losses.question_free_sft import QuestionFreeSft
from prerl_components.objectives.weighted_sum import WeightedSum
from prerl_components.surrogates.clip import Clip
from prerl_components.surrogates.plain import Plain

from prerl_spec.compiler.objective_needs import Needs
from prerl_spec.sdk import Batch, Component, Conditional, Marginal, Need, Outcome, Step, Wiring
from prerl_spec.testing.laws import check_objective
from prerl_spec.testing.laws.objective import credit_of, random_vectors
from prerl_spec.testing.steps import made_documents, made_step


def point(advantage: Component, surrogate: Component | None = None, **settings: Any) -> PolicyGradient:
    return PolicyGradient(advantage=advantage, surrogate=surrogate or Clip(), **settings)


B = Marginal(prefix="<s>")
POINTS: list[tuple[GradientObjective, PolicyGradient]] = [
    (Grpo(), point(GroupStd(), aggregation="sequence_mean")),
    (DrGrpo(), point(GroupMean(), aggregation="constant")),
    (Dapo(), point(GroupStd(), Clip(clip_high=0.28))),
    (LitePpo(), point(BatchStd())),
    (MaxRl(), point(MaxRlAdvantage())),
    (Reinforce(), point(Reward(), Plain(), aggregation="constant")),
    (Rloo(), point(LeaveOneOut(), Plain(), aggregation="constant")),
    (Gpg(), point(NonzeroScaled(), Plain())),
    (Opo(), point(LengthWeighted(), Plain())),
    (PpoClip(), point(Reward())),
    (ReinforcePp(), point(BatchWhitened())),
    (ReinforcePp(baseline=True), point(BatchWhitened(baseline=True))),
    (Nsr(), point(Signed(), positive=0.0)),
    (Psr(), point(Signed(), negative=0.0)),
    (WReinforce(), point(Signed(), positive=0.1)),
    (WReinforce(positive=0.5), point(Signed(), positive=0.5)),
    (CwNsr(), point(ConfidenceWeighted(), positive=0.0)),
    (CwNsr(floor=0.3), point(ConfidenceWeighted(floor=0.3), positive=0.0)),
    (MarginalPg(prefix="<s>"), point(GroupMean(), view=B)),
    (MarginalNsr(prefix="<s>", coefficient=0.01), point(GroupMean(), view=B, positive=0.0, coefficient=0.01)),
    (MarginalPsr(prefix="<s>"), point(GroupMean(), view=B, negative=0.0)),
    (Nsr(clip_low=0.4, dual_clip=3.0), point(Signed(), Clip(clip_low=0.4, dual_clip=3.0), positive=0.0)),
    (MaxRl(aggregation="sequence_mean"), point(MaxRlAdvantage(), aggregation="sequence_mean")),
    (Rloo(unparsable="mask"), point(LeaveOneOut(), Plain(), aggregation="constant", unparsable="mask")),
]


def mixed_step() -> Step:
    return made_step(
        [
            [1.0, 0.0, 0.0, Outcome.UNPARSABLE],
            [1.0, 1.0, Outcome.TIMEOUT, 0.0],
            [0.0, 0.0, 0.0],
            [0.25, 0.7, 1.0],
            [1.0, 1.0],
            [Outcome.ERROR, 0.0],
        ],
        seed=4,
    )


@pytest.mark.parametrize("updates", [1, 3])
@pytest.mark.parametrize(("preset", "whole"), POINTS, ids=lambda p: type(p).__name__)
def test_a_preset_is_its_point_to_the_last_bit(preset: GradientObjective, whole: PolicyGradient, updates: int) -> None:
    step = mixed_step()
    assert preset.needs() == whole.needs()
    assert preset.reads() == whole.reads()
    assert (preset.min_group, preset.uses_ratio) == (whole.min_group, whole.uses_ratio)
    vectors = random_vectors(preset.needs() | preset.reads(), step.tokens.num_tokens, seed=1)
    batch = Batch(step, {need: vectors[need] for need in preset.reads()})
    mine, its = preset.credits(batch, step.split(updates)), whole.credits(batch, step.split(updates))
    for one, other in zip(mine, its, strict=True):
        assert np.array_equal(one.advantage_N, other.advantage_N)
        assert np.array_equal(one.weight_N, other.weight_N)
        assert one.denominator == other.denominator
    assert any(credit.weight_N.any() for credit in mine)
    logp = {need: torch.from_numpy(vector) for need, vector in vectors.items()}
    advantage_n = torch.from_numpy(credit_of(preset, step, vectors).advantage_N)
    assert torch.equal(preset.terms(logp, advantage_n, step.tokens), whole.terms(logp, advantage_n, step.tokens))


@pytest.mark.parametrize("preset", [preset for preset, _ in POINTS], ids=lambda p: f"{type(p).__name__}")
def test_every_preset_obeys_the_laws(preset: GradientObjective) -> None:
    check_objective(preset)


ADVANTAGES: list[Component] = [
    *(Reward(), Signed(), MinusOne(), GroupMean(), GroupStd(), LeaveOneOut(), LengthWeighted(), MaxRlAdvantage()),
    *(NonzeroScaled(), BatchStd(), BatchWhitened(), BatchWhitened(baseline=True), BestOfGroup(), Gdpo()),
    *(ConfidenceWeighted(), ConfidenceWeighted(floor=0.0)),
]


@pytest.mark.parametrize("view", [Conditional(), B], ids=["conditional", "marginal"])
@pytest.mark.parametrize("advantage", ADVANTAGES, ids=lambda a: type(a).__name__)
def test_any_advantage_obeys_the_laws_in_any_view(advantage: Component, view: Component) -> None:
    check_objective(point(advantage, view=view))


PRESETS = list(dict.fromkeys(type(preset) for preset, _ in POINTS))


@pytest.mark.parametrize("cls", PRESETS, ids=lambda cls: cls.__name__)
def test_a_preset_says_what_it_computes_and_where_that_is_from(cls: type[GradientObjective]) -> None:
    assert cls.formula
    assert cls.source


CLIPS = {"clip_low", "clip_high", "dual_clip"}


@pytest.mark.parametrize("cls", PRESETS, ids=lambda cls: cls.__name__)
def test_a_preset_takes_only_what_its_parts_read(cls: type[GradientObjective]) -> None:
    """Without a ratio nothing is clipped; where one sign is trained, what bounds the other is no setting."""
    of_one_sign = {Nsr: CLIPS - {"clip_high"}, CwNsr: CLIPS - {"clip_high"}, Psr: {"clip_high"}}
    assert CLIPS & cls.model_fields.keys() == of_one_sign.get(cls, CLIPS if cls().uses_ratio else set())
    assert set(cls.ratio_settings) == CLIPS & cls.model_fields.keys()
    assert ("unparsable" in cls.model_fields) == (cls is not Psr)  # it is never right


def conflicts(objective: Component, *written: str, **wiring: Any) -> list[tuple[str, str]]:
    found = objective.check(Wiring(written=frozenset(written), updates_per_batch=2, **wiring))
    return [(c.code, place.setting) for c in found for place in c.places if place.owner == "self"]


def test_rewards_that_are_never_negative_meet_no_lower_clip() -> None:
    assert conflicts(PpoClip(), *CLIPS, "unparsable") == [("W0702", "clip_low"), ("W0702", "dual_clip")]
    assert conflicts(PpoClip(), *CLIPS, has_rewards=True) == []
    for objective in (Nsr(), CwNsr(), Psr(), WReinforce(), ReinforcePp()):
        assert conflicts(objective, *CLIPS, "unparsable") == []


def test_whitening_with_a_baseline_is_what_asks_for_a_group() -> None:
    assert (ReinforcePp().min_group, ReinforcePp(baseline=True).min_group) == (1, 2)
    assert ReinforcePp(baseline=True).setting_behind("min_group") == "baseline"
    assert Rloo().setting_behind("min_group") == "use"


def test_confidence_is_read_before_any_update_and_of_every_sample() -> None:
    needs = Needs.of(CwNsr(), 1)
    assert needs.credit == tuple(CwNsr().reads())
    assert needs.terms == ()
    assert CwNsr().consumes() == {"reward[scalar]"}


def test_question_free_sft_is_next_token_behind_another_context() -> None:
    step = made_documents((3, 1, 5))
    free, usual = QuestionFreeSft(prefix="<s>"), NextToken(aggregation="sequence_mean")
    assert free.needs() == {Need(B, "policy")}
    assert (free.uses_rollouts, free.scope, free.consumes()) == (False, "response", frozenset())
    assert np.array_equal(free.credit(step, {}).weight_N, usual.credit(step, {}).weight_N)
    logp_n = torch.linspace(-3, 0, 9, dtype=torch.float64)
    (need,) = free.needs()
    assert torch.equal(free.terms({need: logp_n}, torch.zeros(9), step.tokens), -logp_n)
    assert conflicts(QuestionFreeSft(aggregation="constant")) == [("E0701", "use"), ("E0701", "aggregation")]
    for aggregation in ("sequence_mean", "token_mean"):
        check_objective(QuestionFreeSft(aggregation=aggregation))


def test_nothing_costs_no_forward_and_weighs_nothing() -> None:
    check_objective(Nothing())
    assert Nothing().trains is False
    assert Nothing().consumes() == Grpo().consumes()
    needs = Needs.of(Nothing(), 4)
    assert (needs.policy, needs.without_gradient) == ((), ())
    credit = Nothing().credit(mixed_step(), {})
    assert not credit.weight_N.any()


def test_nothing_beside_another_term_leaves_that_term_as_it_is() -> None:
    check_objective(WeightedSum(terms=(Nothing(), Grpo())))


def test_an_objective_that_says_nothing_of_itself_must_differentiate_something() -> None:
    class Idle(Nothing):
        """Declares that it trains."""

        trains = True

    with pytest.raises(AssertionError, match="trains = False"):
        check_objective(Idle())
