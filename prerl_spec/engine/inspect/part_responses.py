"""How a surrogate or a correction answers to the ratio it depends on: one response of one token for each ratio."""

from collections.abc import Sequence

import numpy as np
import torch

from prerl_spec.registry.kinds.objective_parts import Correction, Surrogate
from prerl_spec.types import Tokens

RATIOS = (0.1, 0.5, 0.8, 1.0, 1.25, 2.0, 10.0)


def surrogate_responses(surrogate: Surrogate, advantage: float) -> tuple[Sequence[float], Sequence[float]]:
    """For each ratio to the old policy, the loss and its gradient with respect to log π. The surrogate reads no further
    vectors."""
    logp_n = torch.log(torch.tensor(RATIOS)).requires_grad_()
    old_n, advantage_n = torch.zeros(len(RATIOS)), torch.full((len(RATIOS),), advantage)
    loss_n = surrogate.loss(logp_n, old_n, advantage_n, _one_token_each(), {})
    (gradient,) = torch.autograd.grad(loss_n.sum(), logp_n)
    return loss_n.tolist(), gradient.tolist()


def correction_responses(correction: Correction, advantage: float) -> Sequence[float]:
    """For each ratio of trainer and sampler, the weight of the response."""
    trainer_n, sampler_n = torch.log(torch.tensor(RATIOS)), torch.zeros(len(RATIOS))
    weight_n = correction.weight(trainer_n, sampler_n, torch.full((len(RATIOS),), advantage), _one_token_each())
    found: list[float] = weight_n.tolist()
    return found


def _one_token_each() -> Tokens:
    zeros, ones = np.zeros(len(RATIOS), dtype=np.int64), np.ones(len(RATIOS), dtype=np.int64)
    return Tokens(id_N=zeros, sample_N=np.arange(len(RATIOS)), position_N=zeros, length_S=ones, group_S=zeros)
