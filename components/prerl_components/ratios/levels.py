"""The importance ratio of trainer and sampler at three levels, in torch."""

from typing import Literal

import torch
from torch import Tensor

from prerl_components.ratios.log_ratios import log_ratio, ratio, sample_means, sample_sums
from prerl_spec.sdk import Tokens

Level = Literal["token", "sequence", "geometric"]


def leveled_ratio(trainer_n: Tensor, sampler_n: Tensor, tokens: Tokens, level: Level) -> Tensor:
    """[n] w = π_trainer/π_sampler, detached: per token, or one value for all tokens of a sample. Log-ratios are clamped
    to ±20, a sample's sum or mean as well."""
    trainer_n, sampler_n = trainer_n.detach(), sampler_n.detach()
    if level == "token":
        return ratio(trainer_n, sampler_n)
    sample_n = torch.from_numpy(tokens.sample_N).to(trainer_n.device)
    over_sample = sample_sums if level == "sequence" else sample_means
    log_w_S = over_sample(trainer_n - sampler_n, sample_n, tokens.num_samples)
    return torch.exp(log_ratio(log_w_S, torch.zeros_like(log_w_S)))[sample_n]


def mean_gap(logp_n: Tensor, other_n: Tensor, tokens: Tokens) -> Tensor:
    """[n] mean_t (log π − log π_other) of each token's sample, nats, detached and not clamped."""
    sample_n = torch.from_numpy(tokens.sample_N).to(logp_n.device)
    return sample_means(logp_n.detach() - other_n.detach(), sample_n, tokens.num_samples)[sample_n]
