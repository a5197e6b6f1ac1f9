"""The weights of a plain decoder: what one step of decoding computes with.

Axes: R rows, H attention heads, J heads of keys and values, D head_dim, L positions.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


class Product(NamedTuple):
    """x Wᵀ + b for each of `parts`, (W [out, in], b), side by side."""

    parts: tuple[tuple[Tensor, Tensor | None], ...]

    def of(self, x_Ri: Tensor) -> Tensor:
        """[R, sum of out]."""
        found = [functional.linear(x_Ri, weight, bias) for weight, bias in self.parts]
        return found[0] if len(found) == 1 else torch.cat(found, dim=-1)


class Norm(NamedTuple):
    """RMS norm, or layer norm if `centred`."""

    weight: Tensor
    bias: Tensor | None
    eps: float
    centred: bool

    def of(self, x: Tensor) -> Tensor:
        """Of the same shape."""
        if self.centred:
            return functional.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)
        return functional.rms_norm(x, self.weight.shape, self.weight, self.eps)


class HeadNorm(NamedTuple):
    """RMS norm of each head of queries and keys; weight [H + J, D]."""

    weight: Tensor
    eps: float


class DecoderLayer(NamedTuple):
    """One layer: attention and feed-forward, each after a norm and added to its input."""

    attention_norm: Norm
    query_key_value: Product
    head_norm: HeadNorm | None
    attention_output: Product
    feed_norm: Norm
    up: Product
    """The gate, if `gated`, and the upward product."""
    gated: bool
    activation: Callable[[Tensor], Tensor]
    down: Product
    num_heads: int
    num_kv_heads: int
    head_dim: int
    scale: float
    """Factor of query · key."""


Rotary = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""(a tensor of the wanted dtype and device, positions [1, L]) -> cosines and sines [1, L, D]."""


class DecoderWeights(NamedTuple):
    """A whole model. Products are in `dtype`, as keys and values will be; everything else is as in the model."""

    embedding: Tensor
    position_embedding: Tensor | None
    rotary: Rotary | None
    layers: tuple[DecoderLayer, ...]
    norm: Norm
    head: Product
    dtype: torch.dtype
