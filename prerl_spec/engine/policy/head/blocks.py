"""The arithmetic of a softmax over a large vocabulary, block by block: logits, what they are reduced to, their gradient.

A block's logits live in one buffer: they are computed, reduced and turned into their gradient there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

BLOCK_ELEMENTS = 1 << 19
"""Logits of a block on a CPU (2 MiB of float32): what is read again is still in its cache."""
LEAST_COLUMNS = 256
"""Columns of a block at least."""
BYTES_PER_LOGIT = 1 << 10
"""Of an accelerator's memory, for each logit of a block: half a GiB of float32 on a card of 141 GB."""

NO_MASS = -128.0
"""Any log-probability below has p = 0 in float32; as a number it keeps p·log p at 0 where a logit is −∞."""


class Block(NamedTuple):
    """Columns `first` to `end` of the vocabulary: logits_nv [n, end − first], float32."""

    first: int
    end: int
    logits_nv: Tensor

    def places(self, target_n: Tensor) -> tuple[Tensor, Tensor]:
        """Column [n, 1] of each target in the block, and whether it is there [n] (if not, the column is any other)."""
        inside_n = (target_n >= self.first) & (target_n < self.end)
        return (target_n - self.first).clamp(0, self.end - self.first - 1)[:, None], inside_n


class Product(NamedTuple):
    """hidden · headᵀ + bias; without a head, hidden_nd are the logits [n, V]."""

    hidden_nd: Tensor
    head_Vd: Tensor | None
    bias_V: Tensor | None

    def as_autocast_has_it(self) -> "Product":
        """With its factors in the dtype that autocast would cast them to, if it is on: once, not once a block."""
        device = self.hidden_nd.device.type
        if self.head_Vd is None or not torch.is_autocast_enabled(device):
            return self
        dtype = torch.get_autocast_dtype(device)
        return Product(self.hidden_nd.to(dtype), self.head_Vd.to(dtype), self.bias_V)

    @property
    def vocab_size(self) -> int:
        return self.hidden_nd.shape[1] if self.head_Vd is None else self.head_Vd.shape[0]

    def blocks(self, temperature: float) -> Iterator[Block]:
        """Every block of logits/temperature in turn, each in the place of the one before."""
        num_tokens, vocab_size = len(self.hidden_nd), self.vocab_size
        columns = min(vocab_size, max(LEAST_COLUMNS, block_elements(self.hidden_nd.device) // max(1, num_tokens)))
        room = self.hidden_nd.new_empty(num_tokens * columns, dtype=torch.float32)
        for first in range(0, vocab_size, columns):
            end = min(vocab_size, first + columns)
            logits_nv = room[: num_tokens * (end - first)].view(num_tokens, end - first)
            if self.head_Vd is None:
                logits_nv.copy_(self.hidden_nd[:, first:end])
            else:
                into(logits_nv, self.hidden_nd, self.head_Vd[first:end].t())
            if self.bias_V is not None:
                logits_nv += self.bias_V[first:end]
            if temperature != 1.0:
                logits_nv.div_(temperature)
            yield Block(first, end, logits_nv)


def into(out: Tensor, left: Tensor, right: Tensor) -> None:
    """out = left · right, in the dtype of `out`."""
    if out.dtype == left.dtype:
        torch.mm(left, right, out=out)
    else:
        out.copy_(left @ right)


def add_into(total: Tensor, left: Tensor, right: Tensor) -> None:
    """total += left · right."""
    if total.dtype == left.dtype:
        total.addmm_(left, right)
    else:
        total += left @ right


class Reduced(NamedTuple):
    """Vectors [n] of the softmax over some columns: log Σ exp, entropy if requested, the highest logit, and its index in
    the vocabulary if requested."""

    normaliser_n: Tensor
    entropy_n: Tensor | None
    highest_n: Tensor
    top_n: Tensor | None

    @classmethod
    def of(cls, block: Block, *, entropy: bool, is_top: bool) -> "Reduced":
        """Overwrites the block's logits."""
        logits_nv, top_n = block.logits_nv, None
        if is_top:
            highest_n, place_n = logits_nv.max(-1)
            top_n = place_n + block.first
        else:
            highest_n = logits_nv.amax(-1)
        # A block may hold nothing but −∞: entries of a padded vocabulary that a model masks.
        highest_n = highest_n.clamp(min=torch.finfo(highest_n.dtype).min)
        logits_nv.sub_(highest_n[:, None])
        if not entropy:
            return cls(logits_nv.exp_().sum(-1).log_().add_(highest_n), None, highest_n, top_n)
        mass_nv = logits_nv.exp()
        logits_nv.clamp_(min=NO_MASS)
        total_n = mass_nv.sum(-1)
        # H = log Σ exp(s) − E[s]
        entropy_n = total_n.log() - mass_nv.mul_(logits_nv).sum(-1).div_(total_n)
        return cls(total_n.log_().add_(highest_n), entropy_n, highest_n, top_n)

    @classmethod
    def joined(cls, blocks: Sequence["Reduced"]) -> "Reduced":
        """Of all columns, from those of the blocks: H = Σ w_b (H_b − log w_b), w_b the mass of a block."""
        if len(blocks) == 1:
            return blocks[0]
        normaliser_bn = torch.stack([block.normaliser_n for block in blocks])
        normaliser_n = normaliser_bn.logsumexp(0)
        highest_n, which_n = torch.stack([block.highest_n for block in blocks]).max(0)
        entropy_n = top_n = None
        if entropies := [block.entropy_n for block in blocks if block.entropy_n is not None]:
            share_bn = normaliser_bn - normaliser_n
            of_block_bn = share_bn.exp() * (torch.stack(entropies) - share_bn)
            entropy_n = torch.where(share_bn <= NO_MASS, 0.0, of_block_bn).sum(0)
        if tops := [block.top_n for block in blocks if block.top_n is not None]:
            top_n = torch.stack(tops).gather(0, which_n[None]).squeeze(0)
        return cls(normaliser_n, entropy_n, highest_n, top_n)


@dataclass(frozen=True)
class Gradients:
    """What reaches the outputs: g of log p_y and g_H of the entropy H (or None), [n] each, and the target y."""

    target_n: Tensor
    of_logp_n: Tensor
    of_entropy_n: Tensor | None

    def of_logits(self, block: Block, normaliser_n: Tensor, entropy_n: Tensor | None) -> Tensor:
        """The block's logits, overwritten by their gradient g·[y] − p·(g + g_H·(log p + H))."""
        logits_nv = block.logits_nv.sub_(normaliser_n[:, None])
        if self.of_entropy_n is None or entropy_n is None:
            logits_nv.exp_().mul_(-self.of_logp_n[:, None])
        else:
            probability_nv = logits_nv.exp()
            logits_nv.clamp_(min=NO_MASS).add_(entropy_n[:, None]).mul_(self.of_entropy_n[:, None]).add_(
                self.of_logp_n[:, None]
            )
            logits_nv.mul_(probability_nv.neg_())
        place_n1, inside_n = block.places(self.target_n)
        return logits_nv.scatter_add_(-1, place_n1, self.of_logp_n.where(inside_n, 0.0)[:, None])


def block_elements(device: torch.device) -> int:
    """Logits of a block: by the whole memory, not by what is free, so that equal runs have equal blocks and equal bits."""
    if device.type != "cuda":
        return BLOCK_ELEMENTS
    return max(BLOCK_ELEMENTS, torch.cuda.get_device_properties(device).total_memory // BYTES_PER_LOGIT)
