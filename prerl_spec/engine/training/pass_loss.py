"""The loss of one pass: Σ weight × term over its tokens and an objective's parts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from prerl_spec.engine.author_faults import blames, defined_at, require_finite, shown_name, token_place
from prerl_spec.engine.policy.packing import Pass
from prerl_spec.engine.training.minibatch import PartCredit
from prerl_spec.engine.training.slots import Sizes, Watched, require_tensor
from prerl_spec.errors import RunFailed
from prerl_spec.needs import Need
from prerl_spec.registry.kinds.objective import Objective
from prerl_spec.types import Index, Step, Tokens


@dataclass(frozen=True)
class PartInput:
    """What a part of an objective sees of a pass: its samples with a nonzero weight, whole, and nothing else."""

    part: Objective
    logp: Mapping[Need, Tensor]
    advantage_n: Tensor
    weight_n: Tensor
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
        weights = torch.from_numpy(weight_n[where]).float().to(device)
        logp = {need: vectors[need][index] for need in part.needs() if need in vectors}
        yield PartInput(
            part,
            logp if weights.all() else _without_gradient_elsewhere(logp, weights != 0),
            torch.from_numpy(credit.advantage_N[one.index_N][where]).float().to(device),
            weights,
            tokens,
            one.index_N[where],
        )


def _without_gradient_elsewhere(logp: Mapping[Need, Tensor], weighted: Tensor) -> dict[Need, Tensor]:
    """The same vectors, whose tokens without weight get no gradient: exactly zero, also where a term is coupled over its
    sample, or where the gradient of their own term is not finite."""
    return {need: torch.where(weighted, v, v.detach()) if v.requires_grad else v for need, v in logp.items()}


def pass_loss(parts: Sequence[PartInput], step: Step, device: torch.device) -> Tensor:
    """Σ weight × term over a pass of a minibatch. Tokens of weight zero are left out before multiplying: 0 × inf would be
    nan. Raises RunFailed for terms that cannot be used, in the name of the component that gives them."""
    loss = torch.zeros((), device=device)
    for seen in parts:
        weighted = seen.weight_n != 0
        terms = _terms(seen, weighted, step)
        loss = loss + (seen.weight_n[weighted] * terms[weighted]).sum()
    return loss


def _terms(seen: PartInput, weighted: Tensor, step: Step) -> Tensor:
    """[n] differentiable terms of a part, finite where a token has weight."""
    size = seen.tokens.num_tokens
    watched = Watched.of(seen.part, Sizes(seen.tokens.num_samples, size))
    with blames(seen.part, "terms"):
        terms = watched.part.terms(seen.logp, seen.advantage_n, seen.tokens)
    require_tensor(seen.part, "terms", terms, size)
    if not terms.requires_grad:
        raise RunFailed(
            f"`terms` of the objective `{shown_name(seen.part)}` depend on no log-probability with gradient",
            hint=f"remove .detach() or no_grad from `terms` ({defined_at(seen.part, 'terms')}); nothing was applied",
        )
    if not bool(torch.isfinite(terms[weighted]).all()):
        by_slots = [(r.component, r.method, r.value) for r in watched.returned if r.method in ("loss", "weight")]
        for component, method, value in (*by_slots, (seen.part, "terms", terms)):
            _require_finite(component, method, value, weighted, seen.index_n, step)
    return terms


def _require_finite(
    component: object, method: str, value: Tensor, weighted: Tensor, index_n: Index, step: Step
) -> None:
    values = value.detach().double().where(weighted, 0.0).cpu().numpy()
    require_finite(component, method, values, lambda at: token_place(step, int(index_n[at])))
