"""Rules between an objective and its phase: contradictions are errors, settings without effect are warnings."""

from typing import Any, cast

import pytest
import torch
from prerl_components.objectives.presets.flat import Preset
from prerl_components.objectives.presets.group_relative import Dapo, Grpo
from prerl_components.objectives.presets.pretrain_space import MarginalNsr, MarginalPg, MarginalPsr
from prerl_components.objectives.token_losses.entropy import Entropy
from prerl_components.objectives.token_losses.kl import Kl
from prerl_components.objectives.token_losses.next_token import NextToken
from prerl_components.objectives.weighted_sum import WeightedSum
from prerl_components.surrogates.clipping import clipped_surrogate

from prerl_spec.sdk import Component, Place, Wiring


class Sampler(Component):
    """The settings of a sampler that objectives look at."""

    kind = "sampler"
    group_size: int = 8
    top_p: float = 1.0
    top_k: int = 0


def found(objective: Component, sampler: Sampler | None = None, **wiring: Any) -> list[tuple[str, tuple[Place, ...]]]:
    written = frozenset(wiring.pop("written", ()))
    wired = Wiring(written=written, sampler=sampler or Sampler(), objective=objective, **wiring)
    return [(c.code, c.places) for c in objective.check(wired)]


@pytest.mark.parametrize("objective", [Grpo(), MarginalNsr(), MarginalPsr(), MarginalPg(), WeightedSum(terms=(Kl(),))])
def test_the_defaults_contradict_nothing(objective: Component) -> None:
    assert found(objective) == []
    assert found(objective, Sampler(top_p=0.9, top_k=20)) == []


CLIPS = ("clip_low", "clip_high", "dual_clip")


@pytest.mark.parametrize(
    ("objective", "idle"),
    [
        (Grpo(), ()),
        (MarginalPg(), ()),
        (MarginalNsr(), ("clip_high",)),
        (MarginalPsr(), ("clip_low", "dual_clip")),
        (MarginalNsr(center="group"), ()),
        (MarginalPsr(center="group"), ()),
    ],
    ids=["grpo", "pg", "nsr", "psr", "nsr-centred", "psr-centred"],
)
def test_a_clip_that_acts_on_a_sign_that_is_never_trained_has_no_effect(
    objective: Preset, idle: tuple[str, ...]
) -> None:
    assert found(objective, updates_per_batch=4, written=CLIPS) == [("W0702", (Place("self", s),)) for s in idle]


@pytest.mark.parametrize("objective", [MarginalNsr(), MarginalPsr()], ids=["nsr", "psr"])
def test_settings_said_to_have_no_effect_change_neither_loss_nor_gradient(objective: Preset) -> None:
    idle = [places[0].setting for _, places in found(objective, updates_per_batch=2, written=CLIPS)]
    sign = -1.0 if isinstance(objective, MarginalNsr) else 1.0
    advantage_n = sign * torch.rand(512, dtype=torch.float64).clamp(min=0.01)
    old_n = torch.zeros(512, dtype=torch.float64)

    def outcome(**settings: float) -> tuple[torch.Tensor, torch.Tensor]:
        logp_n = torch.linspace(-3, 3, 512, dtype=torch.float64, requires_grad=True)
        clips = {"clip_low": 0.2, "clip_high": 0.2, "dual_clip": 3.0, **settings}
        loss_n = clipped_surrogate(logp_n, old_n, advantage_n, **clips)
        return loss_n.detach(), torch.autograd.grad(loss_n.sum(), logp_n)[0]

    before = outcome()
    for setting in CLIPS:
        changed = outcome(**{setting: 0.9 if setting != "dual_clip" else 1.5})
        same = all(torch.equal(a, b) for a, b in zip(before, changed, strict=True))
        assert same == (setting in idle), setting


def test_psr_never_trains_an_unparsable_response_unless_reward_terms_lift_it() -> None:
    written = ("unparsable",)
    assert found(MarginalPsr(unparsable="mask"), written=written) == [("W0702", (Place("self", "unparsable"),))]
    assert found(MarginalPsr(unparsable="mask"), written=written, has_rewards=True) == []
    assert found(MarginalPsr(unparsable="mask", center="group"), written=written) == []
    assert found(MarginalNsr(unparsable="mask"), written=written) == []


def test_the_setting_behind_a_group_baseline_is_the_one_that_asks_for_the_group() -> None:
    assert Grpo().setting_behind("min_group") == "use"
    assert MarginalNsr(advantage="group_mean", center="group").setting_behind("min_group") == "advantage"
    assert MarginalNsr(advantage="minus_one", center="group").setting_behind("min_group") == "center"
    assert MarginalNsr().setting_behind("sampler_logprobs") == Grpo().setting_behind("sampler_logprobs") == "importance"


@pytest.mark.parametrize("setting", ["clip_low", "clip_high", "dual_clip"])
def test_a_clip_written_with_one_update_a_batch_has_no_effect(setting: str) -> None:
    assert found(Grpo(), written=("aggregation", setting)) == [("W0702", (Place("self", setting),))]


def test_a_cap_written_without_importance_has_no_effect() -> None:
    assert found(Grpo(), written=("importance_cap",)) == [("W0702", (Place("self", "importance_cap"),))]
    assert found(Grpo(importance="mask"), written=("importance_cap", "importance")) == []


def test_minus_one_leaves_nothing_to_reinforce() -> None:
    places = (Place("self", "use"), Place("self", "advantage"))
    assert found(MarginalPsr(advantage="minus_one"), written=("advantage",)) == [("E0701", places)]
    assert found(MarginalNsr(advantage="minus_one"), written=("advantage",)) == []


def test_a_step_either_samples_or_reads_documents() -> None:
    mixed = WeightedSum(terms=(Grpo(), NextToken()))
    assert found(mixed) == [("E0701", (Place("self", "terms"),))]
    scopes = WeightedSum(terms=(NextToken(), NextToken(scope="all")))
    assert (scopes.scope, WeightedSum(terms=(NextToken(), NextToken())).scope) == ("all", "response")
    assert found(scopes) == [("E0701", (Place("self", "terms"),))]


def test_documents_have_no_response_budget_to_divide_by() -> None:
    places = (Place("self", "use"), Place("self", "aggregation"))
    assert found(NextToken(aggregation="constant")) == [("E0701", places)]


def test_only_importance_weights_ask_for_the_samplers_log_probabilities() -> None:
    assert Grpo().consumes() == {"reward[scalar]"}
    assert MarginalNsr(importance="mask").consumes() == {"reward[scalar]", "logprobs[sampling]"}


def sums(*terms: Any) -> WeightedSum:
    return WeightedSum(terms=terms)


def aggregations(whole: WeightedSum) -> list[str]:
    return [part.averages if isinstance(part, Kl | Entropy) else part.aggregation for part in cast(Any, whole.parts())]


def test_a_penalty_in_a_nested_sum_follows_the_policy_gradients_of_that_sum_or_those_around_it() -> None:
    inner = aggregations(sums(Grpo(), sums(Dapo(), Kl())))
    assert inner == ["sequence_mean", "token_mean", "token_mean"]
    assert aggregations(sums(Grpo(), sums(Kl()))) == ["sequence_mean", "sequence_mean"]
    assert aggregations(sums(sums(Kl()), sums(Entropy()))) == ["token_mean", "token_mean"]


def conflicting(whole: WeightedSum) -> list[tuple[str, str]]:
    found = whole.check(Wiring(written=frozenset()))
    return [(str(c.code), place.setting) for c in found for place in c.places]


def test_a_penalty_between_aggregations_that_differ_is_told_at_its_own_place() -> None:
    assert conflicting(sums(Grpo(), Dapo(), sums(Kl()))) == [("E0701", "terms[2].terms[0].use")]
    assert conflicting(sums(Grpo(), sums(Dapo(), Kl()))) == []
    undecided = Kl(aggregation="auto")
    assert conflicting(sums(Grpo(), Dapo(), undecided)) == [("E0701", "terms[2].aggregation")]


def test_equal_terms_are_found_once_decided_and_across_nested_sums() -> None:
    assert conflicting(sums(Kl(), Kl(aggregation="sequence_mean"), Grpo())) == [("W0702", "terms[1].use")]
    assert conflicting(sums(Grpo(), sums(Grpo()))) == [("W0702", "terms[1].terms[0].use")]
    assert conflicting(sums(Dapo(), sums(Grpo(), Grpo()))) == [], "the nested sum tells its own"
    assert conflicting(sums(Grpo(), Grpo(coefficient=0.5))) == []
