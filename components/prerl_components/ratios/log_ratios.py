"""Probability ratios from log-probabilities, in torch: log-ratios are clamped here, and only here exponentiated."""

import torch
from torch import Tensor

LOG_RATIO_LIMIT = 20.0
"""Log-ratios are clamped to ±20 before exp, as in the authors' code: e^20 is still finite in every dtype's sum."""


def log_ratio(logp_n: Tensor, old_logp_n: Tensor) -> Tensor:
    """[n] log ρ = clamp(logp − old_logp, ±20), with the gradient of logp inside the limits."""
    return torch.clamp(logp_n - old_logp_n, -LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)


def ratio(logp_n: Tensor, old_logp_n: Tensor) -> Tensor:
    """[n] ρ = exp(clamp(logp − old_logp, ±20)); if old is the detached current, ρ = 1 with the gradient of logp."""
    return torch.exp(log_ratio(logp_n, old_logp_n))


def sample_sums(value_n: Tensor, sample_n: Tensor, num_samples: int) -> Tensor:
    """[num_samples] sums of a value over each sample's tokens."""
    return value_n.new_zeros(num_samples).index_add(0, sample_n, value_n)


def sample_means(value_n: Tensor, sample_n: Tensor, num_samples: int) -> Tensor:
    """[num_samples] means of a value over each sample's tokens; 0 for a sample without a token."""
    counts = sample_sums(torch.ones_like(value_n), sample_n, num_samples)
    return sample_sums(value_n, sample_n, num_samples) / counts.clamp(min=1)
