"""Whether a model's logits are its head's output as it is.

A soft cap is nearly the identity where logits are small, as in a model that is not trained yet: its log-probabilities
differ by less than any bound on rounding, its logits in some bits.
"""

from typing import Any

import torch
from torch import Tensor


@torch.no_grad()
def leaves_its_head_as_it_is(model: Any, ids: Tensor) -> bool:
    """Whether every logit of the texts `ids` [B, T] is the number that the head gave. True for a model that does not call
    its head as a module: there is nothing to compare."""
    given: list[Tensor] = []

    def keep(module: Any, inputs: Any, output: Tensor) -> None:
        # A copy: a model may cap its logits in place.
        given.append(output.float().clone())

    handle = model.get_output_embeddings().register_forward_hook(keep)
    try:
        logits = model(input_ids=ids, use_cache=False).logits.float()
    finally:
        handle.remove()
    return all(torch.equal(one, logits) for one in given)
