"""Per-token policy-gradient losses in torch: inputs [n] are log-probabilities in nats, outputs [n] are losses."""

from typing import Literal

import torch
from torch import Tensor

LOG_RATIO_LIMIT = 20.0
"""Log-ratios are clamped to ±20 before exp, as in the authors' code: e^20 is still finite in every dtype's sum."""


def ratio(logp_n: Tensor, old_logp_n: Tensor) -> Tensor:
    """ρ = exp(clamp(logp − old_logp, ±20)); if old is the detached current, ρ = 1 with the gradient of logp."""
    return torch.exp(torch.clamp(logp_n - old_logp_n, -LOG_RATIO_LIMIT, LOG_RATIO_LIMIT))


def clipped_surrogate(
    logp_n: Tensor,
    old_logp_n: Tensor,
    advantage_n: Tensor,
    *,
    clip_low: float,
    clip_high: float,
    dual_clip: float | None = None,
) -> Tensor:
    """Per-token loss max(−ρA, −clip(ρ, 1−ε₋, 1+ε₊)A), ρ = π/π_old; where A < 0, at most −A·c.

    PPO eq. 7 (arXiv:1707.06347); ε₊ > ε₋ is "clip-higher" (arXiv:2503.14476); dual clip c > 1: arXiv:1912.09729, eq. 5.
    """
    rho_n = ratio(logp_n, old_logp_n)
    clipped_n = torch.clamp(rho_n, 1.0 - clip_low, 1.0 + clip_high)
    loss_n = torch.maximum(-advantage_n * rho_n, -advantage_n * clipped_n)
    if dual_clip is None:
        return loss_n
    return torch.where(advantage_n < 0, torch.minimum(loss_n, -advantage_n * dual_clip), loss_n)


def importance_weight(
    trainer_logp_n: Tensor, sampler_logp_n: Tensor, *, how: Literal["truncate", "mask"], cap: float
) -> Tensor:
    """Stop-gradient importance weight per token for samples from another engine; w = π_trainer/π_sampler, both given x.

    truncate: min(w, C); mask: w where w ≤ C, else 0. Truncated importance sampling, C = 2 by default.
    """
    weight_n = ratio(trainer_logp_n.detach(), sampler_logp_n.detach())
    if how == "truncate":
        return torch.clamp(weight_n, max=cap)
    return torch.where(weight_n <= cap, weight_n, torch.zeros_like(weight_n))
