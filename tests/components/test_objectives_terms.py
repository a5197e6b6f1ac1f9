"""Per-token losses and their gradients, by hand and from logits."""

import math

import pytest
import torch
from prerl_components.corrections.mask import Mask
from prerl_components.corrections.truncate import Truncate
from prerl_components.objectives.presets.group_relative import Grpo
from prerl_components.objectives.presets.pretrain_space import MarginalNsr
from prerl_components.objectives.token_losses.divergences import kl_estimate
from prerl_components.objectives.token_losses.entropy import Entropy
from prerl_components.objectives.token_losses.kl import Kl
from prerl_components.objectives.token_losses.next_token import NextToken
from prerl_components.ratios.log_ratios import ratio
from prerl_components.surrogates.clipping import clipped_surrogate
from torch import Tensor
from torch.testing import assert_close

from prerl_spec.sdk import Conditional, Marginal, Need
from prerl_spec.testing.steps import made_step

F64 = torch.float64


def nats(*values: float) -> Tensor:
    return torch.tensor(values, dtype=F64)


def surrogate_of_ratios(rho: list[float], advantage: list[float], dual_clip: float | None = None) -> list[float]:
    old = torch.full((len(rho),), -1.0, dtype=F64)
    logp = old + nats(*(math.log(r) for r in rho))
    loss = clipped_surrogate(logp, old, nats(*advantage), clip_low=0.2, clip_high=0.3, dual_clip=dual_clip)
    return [round(x, 12) for x in loss.tolist()]


def test_the_clip_cuts_gain_and_never_loss() -> None:
    assert surrogate_of_ratios([1.0, 1.5, 0.5], [2.0, 2.0, 2.0]) == [-2.0, -2.6, -1.0]
    assert surrogate_of_ratios([1.0, 1.5, 0.5], [-2.0, -2.0, -2.0]) == [2.0, 3.0, 1.6]


def test_the_dual_clip_bounds_negative_samples_only() -> None:
    assert surrogate_of_ratios([50.0, 2.0, 0.5], [-2.0, -2.0, -2.0], dual_clip=10.0) == [20.0, 4.0, 1.6]
    assert surrogate_of_ratios([50.0, 0.01], [2.0, 2.0], dual_clip=10.0) == [-2.6, -0.02]


def test_a_log_ratio_is_clamped_at_20_nats() -> None:
    assert_close(ratio(nats(0.0, -900.0), nats(-900.0, 0.0)), nats(math.exp(20), math.exp(-20)), rtol=1e-15, atol=0)


@pytest.mark.parametrize("clip", [0.0, 0.2])
def test_on_policy_the_gradient_is_that_of_the_advantage_times_the_log_probability(clip: float) -> None:
    """ρ = 1: clips and dual clip do nothing, even with no room at all."""
    logp = nats(-0.5, -2.0, -1.0).requires_grad_()
    advantage = nats(0.7, -1.3, 0.0)
    loss = clipped_surrogate(logp, logp.detach(), advantage, clip_low=clip, clip_high=clip, dual_clip=10.0)
    assert_close(loss.detach(), -advantage, rtol=0, atol=0)
    loss.sum().backward()
    assert logp.grad is not None
    assert_close(logp.grad, -advantage, rtol=0, atol=0)


def test_beyond_the_clip_a_sample_has_no_gradient_on_the_side_it_gains() -> None:
    logp = nats(math.log(1.5), math.log(0.5), math.log(1.5), math.log(0.5)).requires_grad_()
    advantage = nats(1.0, -1.0, -1.0, 1.0)
    clipped_surrogate(logp, torch.zeros(4, dtype=F64), advantage, clip_low=0.2, clip_high=0.2).sum().backward()
    assert logp.grad is not None
    assert_close(logp.grad, nats(0.0, 0.0, 1.5, -0.5), rtol=1e-12, atol=0)


def test_importance_weights_are_cut_or_dropped_and_carry_no_gradient() -> None:
    trainer = nats(math.log(0.5), math.log(0.9), math.log(0.8)).requires_grad_()
    sampler = nats(math.log(0.25), math.log(0.1), math.log(0.8))
    tokens, advantage = made_step([[0.0]], lengths=[3]).tokens, nats(-1.0, -1.0, -1.0)
    truncated = Truncate(cap=2.0).weight(trainer, sampler, advantage, tokens)
    masked = Mask(cap=2.0 + 1e-9).weight(trainer, sampler, advantage, tokens)
    assert_close(truncated, nats(2.0, 2.0, 1.0), rtol=1e-12, atol=0)
    assert_close(masked, nats(2.0, 0.0, 1.0), rtol=1e-12, atol=0)
    assert not truncated.requires_grad


def test_importance_weights_of_a_marginal_loss_come_from_the_conditional_view() -> None:
    objective = MarginalNsr(importance="truncate", importance_cap=3.0)
    tokens = made_step([[0.0]], lengths=[2]).tokens
    logp = {
        Need(Marginal(), "policy"): nats(-4.0, -5.0).requires_grad_(),
        Need(Conditional(), "old"): nats(math.log(0.5), math.log(0.8)),
        Need(Conditional(), "sampler"): nats(math.log(0.25), math.log(0.1)),
    }
    terms = objective.terms(logp, nats(-1.0, -1.0), tokens)
    assert_close(terms.detach(), nats(2.0, 3.0), rtol=1e-12, atol=0)
    terms.sum().backward()
    gradient = logp[Need(Marginal(), "policy")].grad
    assert gradient is not None
    assert_close(gradient, nats(2.0, 3.0), rtol=1e-12, atol=0)


def test_of_several_updates_the_ratio_is_taken_to_the_old_log_probabilities() -> None:
    tokens = made_step([[1.0]], lengths=[2]).tokens
    view = Conditional()
    logp = {Need(view, "policy"): nats(-1.0, -1.0), Need(view, "old"): nats(-1.1, -2.0)}
    terms = Grpo(clip_high=0.5).terms(logp, nats(1.0, 1.0), tokens)
    assert_close(terms, nats(-math.exp(0.1), -1.5), rtol=1e-12, atol=0)


def test_the_simple_losses_are_cross_entropy_minus_entropy_and_distance_from_the_reference() -> None:
    tokens, nothing, view = made_step([[0.0]], lengths=[2]).tokens, nats(0.0, 0.0), Conditional()
    logp, reference = nats(-1.0, -2.0), nats(-1.5, -1.0)
    assert_close(NextToken().terms({Need(view, "policy"): logp}, nothing, tokens), nats(1.0, 2.0))
    entropies = {Need(view, "policy", entropy=True): nats(0.5, 0.25)}
    assert_close(Entropy().terms(entropies, nothing, tokens), nats(-0.5, -0.25))
    pair = {Need(view, "policy"): logp, Need(view, "reference"): reference}
    assert_close(Kl(estimator="k1").terms(pair, nothing, tokens), nats(0.5, -1.0))


def test_the_kl_estimators_are_those_of_the_formula() -> None:
    logp, reference = nats(-1.0, -2.0), nats(-1.5, -1.0)
    assert_close(kl_estimate(logp, reference, "k1"), nats(0.5, -1.0))
    assert_close(kl_estimate(logp, reference, "k2"), nats(0.125, 0.5))
    assert_close(kl_estimate(logp, reference, "k3"), nats(math.exp(-0.5) - 0.5, math.e - 2), rtol=1e-12, atol=0)


def test_the_kl_estimators_average_to_the_kl_divergence() -> None:
    """k1 and k3 exactly, by summing over the whole distribution; k2 up to third order."""
    logits = torch.tensor([0.3, -0.2, 0.5, 0.0], dtype=F64)
    log_p, log_q = logits.log_softmax(0), (logits + nats(0.1, 0.0, -0.05, 0.02)).log_softmax(0)
    exact = (log_p.exp() * (log_p - log_q)).sum()
    for estimator in ("k1", "k3"):
        assert_close((log_p.exp() * kl_estimate(log_p, log_q, estimator)).sum(), exact, rtol=1e-10, atol=0)
    assert_close((log_p.exp() * kl_estimate(log_p, log_q, "k2")).sum(), exact, rtol=0.05, atol=0)


@pytest.mark.parametrize(("advantage", "sign"), [(-1.0, 1.0), (1.0, -1.0)])
def test_the_step_on_logits_is_that_of_the_nsr_paper(advantage: float, sign: float) -> None:
    """−∂L/∂z (arXiv:2506.01347): for A = −1, −(1−π_v) on the sampled token v and +π elsewhere, as the log's gradient;
    the paper's own form carries the factor π_v of the probability: −π_v(1−π_v) and +π_{y_t}π_v."""
    logits = torch.tensor([[0.5, -1.0, 2.0, 0.0, 1.0]], dtype=F64, requires_grad=True)
    sampled = 3
    logp = logits.log_softmax(-1)[:, sampled]
    tokens = made_step([[0.0]], lengths=[1]).tokens
    objective = MarginalNsr()
    loss = objective.terms({Need(Marginal(), "policy"): logp}, nats(advantage), tokens).sum()
    loss.backward()
    assert logits.grad is not None
    pi = logits.detach().softmax(-1)[0]
    one_hot = torch.nn.functional.one_hot(torch.tensor(sampled), 5).double()
    assert_close(-logits.grad[0], sign * (pi - one_hot), rtol=1e-12, atol=0)
    paper = torch.where(one_hot.bool(), -pi * (1 - pi), pi[sampled] * pi)
    assert_close(-pi[sampled] * logits.grad[0], sign * paper, rtol=1e-12, atol=0)


def test_the_kl_estimators_clamp_the_distance_at_20_nats() -> None:
    far = nats(-900.0, 0.0), nats(0.0, -900.0)
    assert_close(kl_estimate(*far, "k3"), nats(math.exp(20) - 21, math.exp(-20) + 19), rtol=1e-12, atol=0)
    assert kl_estimate(*far, "k1").tolist() == [-20.0, 20.0]
    assert kl_estimate(*far, "k2").tolist() == [200.0, 200.0]
