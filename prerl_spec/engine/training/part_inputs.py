"""What each part of an objective sees of a pass: log-probabilities, advantages and weights of its samples."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from prerl_spec.engine.policy.packing import Pass
from prerl_spec.engine.training.minibatch import PartCredit
from prerl_spec.needs import Need
from prerl_spec.registry.kinds.objective import Objective
from prerl_spec.types import Index, Tokens


@dataclass(frozen=True)
class PartInput:
    """What a part of an objective sees of a pass: its samples with a nonzero weight, whole, and nothing else."""

    part: Objective
    logp: Mapping[Need, Tensor]
    advantage_n: Tensor
    weight_n: Tensor
    trained_m: Tensor
    """Which of the n tokens have weight; known beforehand, so that no pass waits for the device to count them."""
    tokens: Tokens
    index_n: Index
    """The index of each token among the minibatch's N."""


def part_inputs(
    one: Pass, credits: Sequence[PartCredit], vectors: Mapping[Need, Tensor], device: torch.device
) -> Iterator[PartInput]:
    """The inputs of each part that has a sample in the pass."""
    for part, credit in credits:
        weight_n = credit.weight_N[one.index_N]
        chosen = np.unique(one.tokens.sample_N[weight_n != 0])
        if not len(chosen):
            continue
        tokens, where = one.tokens.of_samples(chosen.tolist())
        index = torch.from_numpy(where).to(device)
        kept_n = weight_n[where].astype(np.float32)
        trained = np.flatnonzero(kept_n)
        weights = torch.from_numpy(kept_n).to(device)
        logp = {need: vectors[need][index] for need in part.needs() if need in vectors}
        yield PartInput(
            part,
            logp if len(trained) == len(where) else _without_gradient_elsewhere(logp, weights != 0),
            torch.from_numpy(credit.advantage_N[one.index_N][where]).float().to(device),
            weights,
            torch.from_numpy(trained).to(device),
            tokens,
            one.index_N[where],
        )


def _without_gradient_elsewhere(logp: Mapping[Need, Tensor], weighted: Tensor) -> dict[Need, Tensor]:
    """The same vectors, whose tokens without weight get no gradient: exactly zero, also where a term is coupled over its
    sample, or where the gradient of their own term is not finite."""
    return {need: torch.where(weighted, v, v.detach()) if v.requires_grad else v for need, v in logp.items()}
