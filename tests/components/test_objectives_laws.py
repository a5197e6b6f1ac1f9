"""Every setting of every built-in objective obeys the laws of its kind."""

from itertools import product
from typing import Any

import pytest
from prerl_components.objectives.presets.flat import Preset
from prerl_components.objectives.presets.group_relative import Grpo
from prerl_components.objectives.presets.pretrain_space import MarginalNsr, MarginalPg, MarginalPsr
from prerl_components.objectives.token_losses.entropy import Entropy
from prerl_components.objectives.token_losses.kl import Kl
from prerl_components.objectives.token_losses.next_token import NextToken
from prerl_components.objectives.weighted_sum import WeightedSum

from prerl_spec.compiler.objective_needs import Needs
from prerl_spec.sdk import Component, Conditional, Marginal, Need
from prerl_spec.testing.laws import check_objective

AGGREGATIONS = ("token_mean", "sequence_mean", "constant")
SHARED = [
    {"aggregation": a, "dual_clip": d, "importance": i, "unparsable": u, "coefficient": 0.3}
    for a, (d, i), u in product(AGGREGATIONS, (("off", "off"), (3.0, "truncate"), (3.0, "mask")), ("wrong", "mask"))
]
MARGINAL = [
    (cls, {"advantage": advantage, "center": center})
    for cls, advantage, center in product(
        (MarginalPg, MarginalNsr, MarginalPsr), ("group_mean", "minus_one"), ("none", "group")
    )
    if (cls, advantage) != (MarginalPsr, "minus_one")
]


@pytest.mark.parametrize("settings", SHARED)
def test_every_setting_of_grpo_obeys_the_laws(settings: dict[str, Any]) -> None:
    check_objective(Grpo(**settings))


@pytest.mark.parametrize(("cls", "own"), MARGINAL)
def test_every_setting_of_the_marginal_objectives_obeys_the_laws(cls: type[Preset], own: dict[str, Any]) -> None:
    for settings in SHARED:
        check_objective(cls(**settings, **own))


@pytest.mark.parametrize(
    "objective",
    [
        *(Kl(aggregation=a, estimator=e) for a in AGGREGATIONS for e in ("k3", "k1", "k2")),
        *(Entropy(aggregation=a) for a in AGGREGATIONS),
        *(NextToken(aggregation=a, scope=s) for a in ("token_mean", "sequence_mean") for s in ("response", "all")),
        WeightedSum(terms=(Grpo(importance="mask"), Kl(coefficient=0.04), Entropy(), MarginalNsr(coefficient=0.01))),
        WeightedSum(terms=(WeightedSum(terms=(Grpo(), Entropy())), MarginalPg(center="group"))),
    ],
    ids=repr,
)
def test_the_other_objectives_obey_the_laws(objective: Component) -> None:
    check_objective(objective)


def test_only_the_objectives_own_view_is_asked_for() -> None:
    """No conditional forward in a marginal phase, and none without the question in a conditional one."""
    assert Grpo().needs() == {Need(Conditional(), "policy"), Need(Conditional(), "old")}
    b = Marginal(prefix="<s>")
    assert MarginalNsr(prefix="<s>").needs() == {Need(b, "policy"), Need(b, "old")}


def test_a_marginal_objective_with_importance_asks_for_conditional_log_probabilities_without_gradient() -> None:
    needs = MarginalNsr(importance="truncate").needs()
    assert {n.of for n in needs if n.view == Conditional()} == {"old", "sampler"}
    assert {n.of for n in needs if n.view == Marginal()} == {"policy", "old"}


def test_a_sum_is_its_terms_however_deep() -> None:
    grpo, entropy, kl = Grpo(), Entropy(coefficient=0.1), Kl()
    deep = WeightedSum(terms=(WeightedSum(terms=(grpo, entropy)), kl))
    as_grpo = {"aggregation": "sequence_mean"}
    assert deep.parts() == (grpo, entropy.model_copy(update=as_grpo), kl.model_copy(update=as_grpo))
    assert deep.needs() == grpo.needs() | entropy.needs() | kl.needs()
    assert (deep.uses_rollouts, deep.scope, deep.min_group, deep.uses_ratio) == (True, "response", 2, True)
    assert deep.consumes() == {"reward[scalar]"}


def test_old_log_probabilities_are_spared_only_where_every_term_that_asks_differentiates_the_view() -> None:
    """With one update a batch grpo needs none; marginal importance weights do, beside it too: they see no gradient."""
    conditional_old, sampler = Need(Conditional(), "old"), Need(Conditional(), "sampler")
    pruning = MarginalNsr(importance="truncate")
    assert Needs.of(Grpo(), 1).without_gradient == ()
    assert set(Needs.of(WeightedSum(terms=(Grpo(), pruning)), 1).without_gradient) == {conditional_old, sampler}
    assert set(Needs.of(pruning, 2).without_gradient) == {conditional_old, sampler, Need(Marginal(), "old")}
