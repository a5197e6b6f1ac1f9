"""Log-probabilities and entropies of chosen tokens from hidden states: the logits [n, V] are never held at once.

The head is fused with the log-softmax; the objective is not, so that all objectives use the same code path.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from prerl_spec.engine.policy.head.blocks import Gradients, Product, Reduced, add_into, into

TILE_ELEMENTS = 1 << 22
"""Logits (16 MiB of float32) of a tile of tokens, for a head that is more than a matrix."""

Head = Callable[[Tensor], Tensor]


class Chosen(NamedTuple):
    """Vectors [n] over n chosen tokens; None for those not requested."""

    logp_n: Tensor
    """Log-probabilities in nats, float32."""
    entropy_n: Tensor | None
    """Entropies of the distributions that predict the tokens, in nats."""
    is_top_n: Tensor | None
    """Whether greedy decoding would choose the token."""


class _Softmax(torch.autograd.Function):
    """`Chosen` of the targets under softmax((hidden · headᵀ + bias)/temperature); without a head, hidden are the logits.

    A block's gradient of the head is one product over all tokens: every entry is written once, and nothing is added up. The
    second derivative is not offered.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden_nd: Tensor,
        head_Vd: Tensor | None,
        bias_V: Tensor | None,
        target_n: Tensor,
        temperature: float,
        entropy: bool,
        is_top: bool,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        ctx.set_materialize_grads(False)
        ctx.temperature = temperature
        ctx.dtypes = hidden_nd.dtype, None if head_Vd is None else head_Vd.dtype
        product = Product(hidden_nd, head_Vd, bias_V).as_autocast_has_it()
        chosen_n = torch.zeros(len(target_n), device=hidden_nd.device)
        blocks: list[Reduced] = []
        for block in product.blocks(temperature):
            place_n1, inside_n = block.places(target_n)
            chosen_n += block.logits_nv.gather(-1, place_n1).squeeze(-1).where(inside_n, 0.0)
            blocks.append(Reduced.of(block, entropy=entropy, is_top=is_top))
        whole = Reduced.joined(blocks)
        is_top_n = None if whole.top_n is None else whole.top_n == target_n
        if is_top_n is not None:
            ctx.mark_non_differentiable(is_top_n)
        ctx.save_for_backward(*product, target_n, whole.normaliser_n, whole.entropy_n)
        return chosen_n - whole.normaliser_n, whole.entropy_n, is_top_n

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_logp_n: Tensor | None, of_entropy_n: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
        hidden_nd, head_Vd, bias_V, target_n, normaliser_n, entropy_n = ctx.saved_tensors
        product, temperature = Product(hidden_nd, head_Vd, bias_V), ctx.temperature
        hidden_dtype, head_dtype = ctx.dtypes
        wants_hidden, wants_head, wants_bias = ctx.needs_input_grad[:3]
        into_hidden = torch.zeros_like(hidden_nd, dtype=torch.float32) if wants_hidden else None
        into_head = torch.empty_like(head_Vd, dtype=head_dtype) if wants_head else None
        into_bias = torch.empty_like(bias_V) if wants_bias else None
        # d/d logits = d/d (logits/temperature) / temperature.
        gradients = Gradients(
            target_n,
            (torch.zeros_like(normaliser_n) if of_logp_n is None else of_logp_n) / temperature,
            None if of_entropy_n is None else of_entropy_n / temperature,
        )
        for block in product.blocks(temperature):
            gradient_nv = gradients.of_logits(block, normaliser_n, entropy_n)
            columns = slice(block.first, block.end)
            if into_bias is not None:
                into_bias[columns] = gradient_nv.sum(0)
            gradient_nv = gradient_nv.to(hidden_nd.dtype)
            if into_head is not None:
                into(into_head[columns], gradient_nv.t(), hidden_nd)
            if into_hidden is not None and head_Vd is not None:
                add_into(into_hidden, gradient_nv, head_Vd[columns])
            elif into_hidden is not None:
                into_hidden[:, columns] = gradient_nv
        return (None if into_hidden is None else into_hidden.to(hidden_dtype), into_head, into_bias, *[None] * 4)


# torch types neither `apply` nor its results.
_SOFTMAX: Any = _Softmax.apply


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

    hidden_nd [n, d] in compute dtype, target_n [n]. The backward pass computes logits again instead of finding them
    stored. A head that is one matrix is read by blocks of the vocabulary; any other is called with a tile of tokens at a
    time.
    """
    # A module with hooks, with a forward of its own, or of a class derived from nn.Linear may do more than multiply.
    if type(head) is nn.Linear and not (head._forward_hooks or head._forward_pre_hooks or "forward" in vars(head)):
        return Chosen(*_SOFTMAX(hidden_nd, head.weight, head.bias, target_n, temperature, entropy, is_top))

    def tile(h: Tensor, y: Tensor) -> Any:
        return _SOFTMAX(head(h), None, None, y, temperature, entropy, is_top)

    size = max(1, TILE_ELEMENTS // vocab_size)
    recompute = torch.is_grad_enabled() and target_n.shape[0] > size
    parts: list[Chosen] = []
    for h, y in zip(torch.split(hidden_nd, size), torch.split(target_n, size), strict=True):
        parts.append(Chosen(*(checkpoint(tile, h, y, use_reentrant=False) if recompute else tile(h, y))))
    return Chosen(
        torch.cat([p.logp_n for p in parts]),
        torch.cat([p.entropy_n for p in parts if p.entropy_n is not None]) if entropy else None,
        torch.cat([p.is_top_n for p in parts if p.is_top_n is not None]) if is_top else None,
    )
