"""Ratios to the old policy, per token and per response, in torch: [n] log-probabilities in nats of whole samples."""

import torch
from prerl_spec.sdk import Tokens
from torch import Tensor

LOG_RATIO_LIMIT = 20.0
"""Log-ratios are clamped to ±20 before exp: e^20 is finite in every dtype's sum."""


def log_ratio(logp_n: Tensor, old_n: Tensor) -> Tensor:
    """[n] log ρ = log π − log π_old, within ±20."""
    return torch.clamp(logp_n - old_n, -LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)


def times_gradient(value_n: Tensor, log_n: Tensor) -> Tensor:
    """[n] the value itself, with the gradient value · ∇log: sg[value] · exp(log − sg[log])."""
    return value_n.detach() * torch.exp(log_n - log_n.detach())


def response_sums(value_n: Tensor, tokens: Tokens) -> Tensor:
    """[n] for each token, the sum over the tokens of its response."""
    sample_n = torch.from_numpy(tokens.sample_N).to(value_n.device)
    return value_n.new_zeros(tokens.num_samples).index_add(0, sample_n, value_n)[sample_n]


def response_lengths(value_n: Tensor, tokens: Tokens) -> Tensor:
    """[n] for each token, the number of trained tokens of its response."""
    return response_sums(torch.ones_like(value_n), tokens)


def discounted_sums(value_n: Tensor, tokens: Tokens, gamma: float) -> Tensor:
    """[n] Σ_{k ≥ t} γ^(k−t) · value_k over the rest of each response, itself included.

    By doubling: after step j each token holds the sum of its next 2^j tokens, so a response of T tokens needs log₂ T
    steps and no T × T matrix.
    """
    sample_n = torch.from_numpy(tokens.sample_N).to(value_n.device)
    sum_n, reach = value_n, 1
    longest = int(tokens.length_S.max(initial=0))
    while reach < longest:
        later_n = torch.zeros_like(sum_n)
        later_n[:-reach] = torch.where(sample_n[:-reach] == sample_n[reach:], sum_n[reach:], 0.0)
        sum_n, reach = sum_n + gamma**reach * later_n, 2 * reach
    return sum_n
