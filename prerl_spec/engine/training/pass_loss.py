"""The loss of one pass: Σ weight × term over its tokens and an objective's parts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from prerl_spec.engine.policy.packing import Pass
from prerl_spec.engine.training.minibatch import PartCredit
from prerl_spec.errors import RunFailed
from prerl_spec.needs import Need
from prerl_spec.registry.kinds.objective import Objective
from prerl_spec.types import Tokens


@dataclass(frozen=True)
class PartInput:
    """What a part of an objective sees of a pass: its samples with a nonzero weight, whole, and nothing else."""

    part: Objective
    logp: Mapping[Need, Tensor]
    advantage_n: Tensor
    weight_n: Tensor
    tokens: Tokens


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
        weights = torch.from_numpy(weight_n[where]).float().to(device)
        logp = {need: vectors[need][index] for need in part.needs() if need in vectors}
        yield PartInput(
            part,
            logp if weights.all() else _without_gradient_elsewhere(logp, weights != 0),
            torch.from_numpy(credit.advantage_N[one.index_N][where]).float().to(device),
            weights,
            tokens,
        )


def _without_gradient_elsewhere(logp: Mapping[Need, Tensor], weighted: Tensor) -> dict[Need, Tensor]:
    """The same vectors, whose tokens without weight get no gradient: exactly zero, also where a term is coupled over its
    sample, or where the gradient of their own term is not finite."""
    return {need: torch.where(weighted, v, v.detach()) if v.requires_grad else v for need, v in logp.items()}


def pass_loss(parts: Sequence[PartInput], device: torch.device) -> Tensor:
    """Σ weight × term. Tokens of weight zero are left out before multiplying: 0 × inf would be nan."""
    loss = torch.zeros((), device=device)
    for seen in parts:
        terms = seen.part.terms(seen.logp, seen.advantage_n, seen.tokens)
        if terms.shape != seen.advantage_n.shape:
            raise RunFailed(
                f"{type(seen.part).__name__}.terms returned shape {tuple(terms.shape)}, not [{seen.tokens.num_tokens}]: one "
                "loss per token",
                hint="return per-token terms; the engine multiplies by the weights and sums",
            )
        weighted = seen.weight_n != 0
        loss = loss + (seen.weight_n[weighted] * terms[weighted]).sum()
    return loss
