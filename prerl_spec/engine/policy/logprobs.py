"""Log-probabilities and entropies of chosen tokens from hidden states, tile by tile, never all [T, V] at once.

The head is fused with the log-softmax; the objective is not, so that all objectives use the same code path.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

TILE_ELEMENTS = 1 << 22
"""Number of logits in a tile (16 MiB of float32)."""

Head = Callable[[Tensor], Tensor]


class Chosen(NamedTuple):
    """Vectors [n] over n chosen tokens; None for those not requested."""

    logp_n: Tensor
    """Log-probabilities in nats, float32."""
    entropy_n: Tensor | None
    """Entropies of the distributions that predict the tokens, in nats."""
    is_top_n: Tensor | None
    """Whether greedy decoding would choose the token."""


def chosen_logprobs(
    hidden_nd: Tensor,
    target_n: Tensor,
    head: Head,
    *,
    vocab_size: int,
    temperature: float,
    entropy: bool = False,
    is_top: bool = False,
) -> Chosen:
    """log softmax(head(h)/temperature)[y] for each of n tokens, with entropies and top-1 flags if requested.

    hidden_nd [n, d] in compute dtype, target_n [n]. Under autograd the logits of a tile are recomputed in the backward
    pass instead of stored, so memory is TILE_ELEMENTS, not n × V.
    """
    tile = max(1, TILE_ELEMENTS // vocab_size)
    recompute = torch.is_grad_enabled() and target_n.shape[0] > tile
    parts: list[Chosen] = []
    for h, y in zip(torch.split(hidden_nd, tile), torch.split(target_n, tile), strict=True):
        if recompute:
            parts.append(checkpoint(_tile, h, y, head, temperature, entropy, is_top, use_reentrant=False))
        else:
            parts.append(_tile(h, y, head, temperature, entropy, is_top))
    return Chosen(
        torch.cat([p.logp_n for p in parts]),
        torch.cat([p.entropy_n for p in parts if p.entropy_n is not None]) if entropy else None,
        torch.cat([p.is_top_n for p in parts if p.is_top_n is not None]) if is_top else None,
    )


def _tile(hidden: Tensor, target: Tensor, head: Head, temperature: float, entropy: bool, is_top: bool) -> Chosen:
    logits = head(hidden).float()
    if temperature != 1.0:
        logits = logits / temperature
    normaliser = logits.logsumexp(-1)
    logp = logits.gather(-1, target[:, None]).squeeze(-1) - normaliser
    top = logits.argmax(-1) == target if is_top else None
    if not entropy:
        return Chosen(logp, None, top)
    probability = (logits - normaliser[:, None]).exp()
    return Chosen(logp, normaliser - (probability * logits).sum(-1), top)
