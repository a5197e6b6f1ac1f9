"""What a step says of the policy that sampled it: from forwards that run anyway, else from eight responses, always before the
update is applied."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from prerl_components.objectives.presets.group_relative import Grpo
from prerl_components.objectives.presets.pretrain_space import MarginalNsr

from prerl_spec.compiler.objective_needs import Needs
from prerl_spec.engine.policy.batch_logprobs import batch_logprobs
from prerl_spec.engine.training.on_policy import OnPolicy
from prerl_spec.engine.training.trainer import Trainer
from prerl_spec.errors import RunFailed
from prerl_spec.sdk import Conditional, Marginal, Need, Step
from tests.engine.steps import make_trainer, random_step, tiny_policy, with_rewards


def on_policy(trainer: Trainer, step: Step, check: Any = lambda metrics: None) -> OnPolicy:
    needs = Needs.of(trainer.objective, trainer.updates_per_batch)
    return OnPolicy(
        step,
        needs.differentiated,
        trainer.policy,
        trainer.ranks,
        whole=needs.compares_with_sampler,
        budget=trainer.tokens_per_pass,
        check=check,
    )


def told(objective: Any, step: Step, *, updates: int = 1) -> tuple[Mapping[str, float], Trainer]:
    trainer = make_trainer(tiny_policy(), objective, updates_per_batch=updates)
    seen = on_policy(trainer, step)
    trainer.train(step, on_policy=seen)
    return seen.metrics, trainer


def expected(step: Step, view: Any, samples: list[int], *, entropy: bool = False) -> float:
    trainer = make_trainer(tiny_policy(), Grpo())
    need = Need(view, entropy=entropy)
    (found_N,) = batch_logprobs(step, samples, [need], trainer.policy, trainer.ranks, tokens_per_pass=256, of="t")
    return float(found_N[np.isin(step.tokens.sample_N, samples)].mean())


SIGNAL = random_step(5, 4, seed=1)
"""Right and wrong attempts in every group: every sample has an advantage."""
FLAT = replace(SIGNAL, groups=(*SIGNAL.groups[:4], with_rewards(SIGNAL, 1.0).groups[4]))
"""Its last group is all right: nothing of it is trained."""
ALL, EIGHT = list(range(20)), sorted({int(i) for i in np.linspace(0, 19, 8).round()})


@pytest.mark.parametrize("updates", [1, 5])
def test_where_every_response_goes_forward_all_are_told_of_and_none_goes_twice(updates: int) -> None:
    """With one update in the forward that is differentiated, with several in that of the old policy."""
    step = SIGNAL if updates == 1 else replace(SIGNAL, groups=tuple(_with_entropies(g) for g in SIGNAL.groups))
    metrics, trainer = told(Grpo(), step, updates=updates)
    assert metrics["logp_conditional"] == pytest.approx(expected(step, Conditional(), ALL), rel=1e-6)
    assert metrics["sampler_gap"] > 0
    assert trainer.policy.forwards["conditional", "probe"] == 0
    if updates == 1:
        assert metrics["entropy"] == pytest.approx(expected(step, Conditional(), ALL, entropy=True), rel=1e-5)
    else:
        assert "entropy" not in metrics, "the sampler has told it"


def _with_entropies(group: Any) -> Any:
    def told(segment: Any) -> Any:
        return replace(segment, entropies=tuple(1.0 for _ in segment.tokens))

    return replace(group, attempts=tuple(replace(a, segments=tuple(map(told, a.segments))) for a in group.attempts))


def test_where_some_responses_stay_behind_eight_are_scored_before_the_update() -> None:
    metrics, trainer = told(Grpo(), FLAT)
    assert metrics["logp_conditional"] == pytest.approx(expected(FLAT, Conditional(), EIGHT), rel=1e-6)
    assert metrics["entropy"] == pytest.approx(expected(FLAT, Conditional(), EIGHT, entropy=True), rel=1e-5)
    assert trainer.policy.forwards["conditional", "probe"] == 8
    several, trainer = told(Grpo(), SIGNAL, updates=5)
    assert several["logp_conditional"] == pytest.approx(metrics["logp_conditional"], rel=1e-6), "no entropy is known"
    assert trainer.policy.forwards["conditional", "probe"] == 8


def test_all_views_tell_of_the_same_responses() -> None:
    """The marginal view sees every response, the conditional one none: both tell of eight, and only one is run for it."""
    step = with_rewards(SIGNAL, 0.0)
    metrics, trainer = told(MarginalNsr(advantage="minus_one"), step)
    assert metrics["logp_marginal"] == pytest.approx(expected(step, Marginal(), EIGHT), rel=1e-6)
    assert metrics["logp_conditional"] == pytest.approx(expected(step, Conditional(), EIGHT), rel=1e-6)
    assert trainer.policy.forwards["conditional", "probe"] == 8
    assert trainer.policy.forwards["marginal", "probe"] == 0


@pytest.mark.parametrize("step", [SIGNAL, FLAT], ids=["trained on", "apart"])
def test_a_check_that_fails_ends_the_step_before_anything_is_applied(step: Step) -> None:
    def refuse(metrics: Mapping[str, float]) -> None:
        assert "sampler_gap" in metrics
        raise RunFailed("another policy's samples", hint="no")

    trainer = make_trainer(tiny_policy(), Grpo())
    before = {name: p.detach().clone() for name, p in trainer.policy.parameters()}
    with pytest.raises(RunFailed, match="another policy's samples"):
        trainer.train(step, on_policy=on_policy(trainer, step, refuse))
    assert all(torch.equal(p, before[name]) for name, p in trainer.policy.parameters())
    assert all(p.grad is None for _, p in trainer.policy.parameters())
    assert trainer.updater.state() == {}


def test_looking_changes_no_bit_of_an_update() -> None:
    after = []
    for looks in (False, True):
        trainer = make_trainer(tiny_policy(), Grpo())
        trainer.train(SIGNAL, on_policy=on_policy(trainer, SIGNAL) if looks else None)
        after.append({name: p.detach() for name, p in trainer.policy.parameters()})
    assert all(torch.equal(value, after[1][name]) for name, value in after[0].items())
