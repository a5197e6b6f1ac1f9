"""Where a surrogate must be one of the built-in ones: losses or gradients, far from ρ = 1."""

import numpy as np
import pytest
import torch
from prerl_components.surrogates.clip import Clip
from prerl_components.surrogates.gspo import Gspo
from prerl_spec.sdk import Surrogate
from prerl_spec.testing.steps import made_step
from torch import Tensor

from prerl_zoo.ce_gppo import CeGppo
from prerl_zoo.fipo import Fipo
from prerl_zoo.luspo import Luspo

LENGTHS = [5, 1, 7, 2, 3, 9, 4, 6]
TOKENS = made_step([[1.0] * 8], lengths=LENGTHS).tokens
ADVANTAGES = np.array([1.3, -0.4, -0.9, -1.1, 0.6, 0.5, 0.0, -0.7])


def losses(surrogate: Surrogate, seed: int, spread: float) -> tuple[Tensor, Tensor]:
    """[n] losses and ∂Σ loss/∂log π."""
    random = np.random.default_rng(seed)
    old_n = random.uniform(-2, -1, sum(LENGTHS))
    logp_n = torch.tensor(old_n + random.normal(0, spread, sum(LENGTHS)), requires_grad=True)
    advantage_n = torch.tensor(ADVANTAGES[TOKENS.sample_N])
    loss_n = surrogate.loss(logp_n, torch.tensor(old_n), advantage_n, TOKENS, {})
    torch.autograd.backward(loss_n.sum())
    assert logp_n.grad is not None
    return loss_n.detach(), logp_n.grad


@pytest.mark.parametrize("seed", range(5))
def test_luspo_is_gspo_times_the_length_of_the_response(seed: int) -> None:
    clips = {"clip_low": 0.05, "clip_high": 0.08}
    length_n = torch.tensor(np.repeat(LENGTHS, LENGTHS))
    for mine, theirs in zip(losses(Luspo(**clips), seed, 0.3), losses(Gspo(**clips), seed, 0.3), strict=True):
        torch.testing.assert_close(mine, length_n * theirs, rtol=1e-12, atol=1e-14)
        assert theirs.any()


@pytest.mark.parametrize("seed", range(5))
def test_ce_gppo_without_betas_has_the_gradient_of_clip(seed: int) -> None:
    _, mine = losses(CeGppo(beta_low=0.0, beta_high=0.0), seed, 0.5)
    _, theirs = losses(Clip(), seed, 0.5)
    torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-14)
    assert 0 < (theirs == 0).sum() < len(theirs)


@pytest.mark.parametrize("seed", range(5))
def test_fipo_is_clip_with_a_factor_that_is_1(seed: int) -> None:
    mine = losses(Fipo(low=1.0, high=1.0, dual_clip=2.0), seed, 0.8)
    theirs = losses(Clip(clip_low=0.2, clip_high=0.28, dual_clip=2.0), seed, 0.8)
    for here, there in zip(mine, theirs, strict=True):
        torch.testing.assert_close(here, there, rtol=1e-12, atol=1e-14)
