"""Estimators of KL(π ‖ reference) from the log-probabilities of sampled tokens, in torch."""

from typing import Literal

import torch
from torch import Tensor

from prerl_components.ratios.log_ratios import LOG_RATIO_LIMIT


def kl_estimate(logp_n: Tensor, reference_logp_n: Tensor, estimator: Literal["k3", "k1", "k2"]) -> Tensor:
    """[n] with d = log π_ref − log π (http://joschu.net/blog/kl-approx.html):

    k1: −d            unbiased, of either sign; its gradient as a loss is ∇log π, with mean zero on samples of π
    k2: d²/2          biased, low variance; its gradient as a loss is an unbiased estimate of ∇KL(π ‖ ref)
    k3: e^d − 1 − d   unbiased and never negative, as in GRPO (arXiv:2402.03300, eq. 4)
    """
    d_n = torch.clamp(reference_logp_n - logp_n, -LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)
    if estimator == "k1":
        return -d_n
    if estimator == "k2":
        return d_n.square() / 2
    return torch.expm1(d_n) - d_n
