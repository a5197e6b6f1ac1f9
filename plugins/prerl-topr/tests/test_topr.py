"""TOPR on hand-computed cases, against a plain loop, and against the laws of its kind."""

import math

import numpy as np
import pytest
import torch
from prerl_spec.sdk import Outcome, Place, Wiring
from prerl_spec.testing.laws import check_objective
from prerl_spec.testing.steps import made_step
from pydantic import ValidationError

from prerl_topr.losses import tapered_loss
from prerl_topr.objective import BEFORE, CURRENT, Topr


@pytest.mark.parametrize(
    "settings", [{}, {"baseline": -0.5}, {"baseline": 0.5, "coefficient": 0.1}, {"taper": 0.25}, {"taper": 4.0}]
)
def test_topr_obeys_the_laws_of_objectives(settings: dict[str, float]) -> None:
    check_objective(Topr(**settings))


def test_right_responses_keep_their_gradient_however_unlikely_they_have_become() -> None:
    logp = torch.tensor([-9.0, -9.0], requires_grad=True)
    tapered_loss(
        logp, torch.tensor([-1.0, -1.0]), torch.ones(2), torch.zeros(2, dtype=torch.long), taper=1.0
    ).sum().backward()
    assert logp.grad is not None
    assert logp.grad.tolist() == [-1.0, -1.0]


def test_a_wrong_response_is_weighted_by_the_ratio_of_all_its_tokens() -> None:
    # log π − log μ = (−0.5) + (−0.25) for the first response, +3 (tapered to 1) for the second.
    logp = torch.tensor([-1.5, -1.25, -1.0], requires_grad=True)
    old = torch.tensor([-1.0, -1.0, -4.0])
    loss = tapered_loss(logp, old, -torch.ones(3), torch.tensor([0, 0, 1]), taper=1.0)
    loss.sum().backward()
    assert logp.grad is not None
    assert logp.grad.tolist() == pytest.approx([math.exp(-0.75), math.exp(-0.75), 1.0])


def test_a_response_that_became_a_thousand_nats_more_likely_stays_finite() -> None:
    loss = tapered_loss(torch.tensor([0.0]), torch.tensor([-1000.0]), -torch.ones(1), torch.tensor([0]), taper=1.0)
    assert torch.isfinite(loss).all()


def test_the_loss_agrees_with_a_loop_over_responses() -> None:
    step = made_step([[1.0, 0.0, 0.0], [0.0, 1.0, Outcome.TIMEOUT]], seed=3)
    objective = Topr(coefficient=0.7, baseline=-0.25, taper=0.8)
    random = np.random.default_rng(5)
    logp, old = random.uniform(-3, 0, (2, step.tokens.num_tokens))
    credit = objective.credit(step, {})
    terms = objective.terms(
        {CURRENT: torch.tensor(logp), BEFORE: torch.tensor(old)}, torch.tensor(credit.advantage_N), step.tokens
    )
    expected = 0.0
    for sample, reward in enumerate(step.reward_S):
        if math.isnan(reward):
            continue
        mine = step.tokens.sample_N == sample
        signed = 2 * reward - 1 + 0.25
        ratio = min(math.exp((logp[mine] - old[mine]).sum()), 0.8) if signed < 0 else 1.0
        expected += 0.7 * ratio * -signed * logp[mine].sum() / 5
    assert float((torch.tensor(credit.weight_N) * terms).sum()) == pytest.approx(expected, rel=1e-12)


def test_a_reward_at_the_baseline_teaches_nothing() -> None:
    assert not Topr(baseline=0.0).credit(made_step([[0.5, 0.5]]), {}).weight_N.any()


def test_a_baseline_outside_the_range_of_rewards_is_refused() -> None:
    with pytest.raises(ValidationError):
        Topr(baseline=1.0)


def test_a_taper_without_effect_is_reported() -> None:
    wiring = Wiring(written=frozenset({"taper"}), updates_per_batch=1)
    assert [c.places for c in Topr(taper=1.0).check(wiring)] == [(Place("self", "taper"),)]
    assert not list(Topr(taper=1.0).check(Wiring(written=frozenset({"taper"}), updates_per_batch=2)))
