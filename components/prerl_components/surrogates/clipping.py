"""The arithmetic of PPO's clip in torch: inputs [n] are log-probabilities in nats, outputs [n] are losses."""

import torch
from torch import Tensor

from prerl_components.ratios.log_ratios import ratio


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
