"""One step of decoding a plain decoder: the next token's logits of all rows, with as few calls as it can be written in.

A model's own forward spends most of a small model's step in Python: 10 times its products' time for one row, 3.5 times for
64 rows (hidden 128, four layers).

Axes: R rows, H attention heads, J heads of keys and values, D head_dim, L positions, K tokens in the cache, V vocabulary.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from prerl_components.samplers.embedded.decoder_weights import DecoderLayer, DecoderWeights
from prerl_components.samplers.embedded.kv_cache import RoomyLayer


class DecodeStep:
    """A decoder at `positions`, which are consecutive."""

    def __init__(self, weights: DecoderWeights, positions: range) -> None:
        self._weights = weights
        self._first_position = positions.start
        self.dtype = weights.dtype
        self._cos_LD = self._sin_LD = torch.zeros(0)
        if weights.rotary is not None:
            position_L = torch.arange(positions.start, positions.stop, device=weights.embedding.device)
            cos, sin = weights.rotary(weights.embedding[:1], position_L[None])
            self._cos_LD, self._sin_LD = cos[0], sin[0]
            # x cos + rotate_half(x) sin, where rotate_half swaps the halves and negates what comes first.
            half = cos.shape[-1] // 2
            self._sin_LD = torch.cat([-self._sin_LD[:, :half], self._sin_LD[:, half:]], dim=-1)
        self._logits_RV: Tensor | None = None

    def __call__(
        self, token_R: Tensor, position_R: Tensor, mask_R11K: Tensor | None, cache: Sequence[RoomyLayer]
    ) -> Tensor:
        """[R, V] logits after `token_R`, whose keys and values are appended to the cache; the next call overwrites them.

        `mask_R11K` is added to the attention scores: 0, or -inf for padding.
        """
        weights = self._weights
        hidden_Rd = functional.embedding(token_R, weights.embedding)
        turn = None
        if weights.position_embedding is not None:
            hidden_Rd = hidden_Rd + functional.embedding(position_R, weights.position_embedding)
        if weights.rotary is not None:
            place_R = position_R - self._first_position if self._first_position else position_R
            turn = (self._cos_LD.index_select(0, place_R)[:, None], self._sin_LD.index_select(0, place_R)[:, None])
        for layer, cached in zip(weights.layers, cache, strict=True):
            x_Rd = layer.attention_norm.of(hidden_Rd).to(weights.dtype)
            hidden_Rd = hidden_Rd + layer.attention_output.of(_attend(layer, x_Rd, turn, mask_R11K, cached))
            x_Rd = layer.feed_norm.of(hidden_Rd).to(weights.dtype)
            hidden_Rd = hidden_Rd + layer.down.of(_activated(layer, x_Rd))
        return self._logits(weights.norm.of(hidden_Rd).to(weights.dtype))

    def _logits(self, x_Rd: Tensor) -> Tensor:
        """Into one buffer for all tokens: fresh memory for [64, 151936] cost 1.0 s of page faults in 64 tokens."""
        ((weight, bias),) = self._weights.head.parts
        if bias is not None:
            return functional.linear(x_Rd, weight, bias)
        if self._logits_RV is None or len(self._logits_RV) < len(x_Rd):
            self._logits_RV = x_Rd.new_empty(len(x_Rd), len(weight))
        return torch.mm(x_Rd, weight.t(), out=self._logits_RV[: len(x_Rd)])


def _attend(
    layer: DecoderLayer,
    x_Rd: Tensor,
    turn: tuple[Tensor, Tensor] | None,
    mask_R11K: Tensor | None,
    cached: RoomyLayer,
) -> Tensor:
    """[R, H D]: the attention of each row's new token to its tokens so far and itself."""
    num_rows, heads, kv_heads = len(x_Rd), layer.num_heads, layer.num_kv_heads
    all_RHD = layer.query_key_value.of(x_Rd).view(num_rows, heads + 2 * kv_heads, layer.head_dim)
    turned_RHD, value_RJD = all_RHD[:, : heads + kv_heads], all_RHD[:, heads + kv_heads :]
    if layer.head_norm is not None:
        norm = layer.head_norm
        turned_RHD = functional.rms_norm(turned_RHD, (layer.head_dim,), None, norm.eps) * norm.weight
    if turn is not None:
        cos_R1D, sin_R1D = turn
        turned_RHD = turned_RHD.to(cos_R1D.dtype)
        swapped_RHD = turned_RHD.roll(layer.head_dim // 2, dims=-1)
        turned_RHD = torch.addcmul(turned_RHD * cos_R1D, swapped_RHD, sin_R1D)
    keys, values = cached.append(turned_RHD[:, heads:], value_RJD)
    # The heads that share keys and values stand where a text's tokens would: no copies of keys and values.
    query = turned_RHD[:, :heads].to(keys.dtype).reshape(num_rows, kv_heads, heads // kv_heads, layer.head_dim)
    if keys.dtype == torch.float32 and keys.device.type == "cpu":
        return _by_products(query, keys, values, mask_R11K, layer.scale).view(num_rows, -1)
    found = functional.scaled_dot_product_attention(query, keys, values, attn_mask=mask_R11K, scale=layer.scale)
    return found.reshape(num_rows, -1)


def _by_products(query: Tensor, keys: Tensor, values: Tensor, mask_R11K: Tensor | None, scale: float) -> Tensor:
    """The same attention as two batched products: 20 % faster for one token of many short rows on a CPU."""
    query, keys, values = query.flatten(0, 1), keys.flatten(0, 1), values.flatten(0, 1)
    if mask_R11K is None:
        scores = torch.bmm(query, keys.transpose(1, 2)).mul_(scale)
    else:
        mask = mask_R11K.expand(-1, len(keys) // len(mask_R11K), 1, -1).flatten(0, 1)
        scores = torch.baddbmm(mask, query, keys.transpose(1, 2), alpha=scale)
    return torch.bmm(scores.softmax(dim=-1), values)


def _activated(layer: DecoderLayer, x_Rd: Tensor) -> Tensor:
    up = layer.up.of(x_Rd)
    if not layer.gated:
        return layer.activation(up)
    gate, up = up.chunk(2, dim=-1)
    return layer.activation(gate) * up
