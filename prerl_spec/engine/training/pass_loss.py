"""The loss of one pass: Σ weight × term over its tokens and an objective's parts."""

from collections.abc import Sequence

import torch
from torch import Tensor

from prerl_spec.engine.author_faults import blames, defined_at, shown_name
from prerl_spec.engine.training.part_inputs import PartInput
from prerl_spec.engine.training.pass_faults import PassFaults
from prerl_spec.engine.training.slots import Sizes, Watched, require_tensor
from prerl_spec.errors import RunFailed


def pass_loss(parts: Sequence[PartInput], faults: PassFaults, device: torch.device) -> Tensor:
    """Σ weight × term over a pass of a minibatch. Tokens of weight zero are left out before multiplying: 0 × inf would be
    nan. `faults` keeps what has been computed per token. Raises RunFailed for terms that cannot be used, in the name of the
    component that gives them."""
    loss = torch.zeros((), device=device)
    for seen in parts:
        terms = _terms(seen, faults)
        loss = loss + (seen.weight_n[seen.trained_m] * terms[seen.trained_m]).sum()
    return loss


def _terms(seen: PartInput, faults: PassFaults) -> Tensor:
    """[n] differentiable terms of a part."""
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
    by_slots = [(r.component, r.method, r.value) for r in watched.returned if r.method in ("loss", "weight")]
    faults.keep_terms(seen, [*by_slots, (seen.part, "terms", terms)])
    return terms
