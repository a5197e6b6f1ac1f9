"""A key-value cache with spare capacity: a decoded token is written in place instead of copying all earlier ones.

Layers other than plain attention (linear attention, indexers) keep transformers' own cache layers.
"""

from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

MIN_ROOM = 64
"""Minimum growth of a buffer, in tokens: growing it copies the whole layer."""


class RoomyLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """Keys and values [rows, heads, tokens, head_dim] as views of longer buffers.

    `DynamicLayer` concatenates at every token, which took 22 % of the time of a decoded token at 128 rows of the
    default experiment's model, 45 % at 1024. Here a prefill is stored without a copy, and the first token after it, or a
    `reorder_cache`, moves it into a buffer with capacity for half as many tokens again.
    """

    _key_buffer: Tensor
    _value_buffer: Tensor

    def __init__(self, dtype: torch.dtype | None = None) -> None:
        """`dtype` of what is stored; None: as it comes."""
        super().__init__()  # type: ignore[no-untyped-call]
        self._dtype = dtype

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Appends the states of new tokens; returns those of all tokens."""
        if not self.is_initialized:
            key_states, value_states = self._stored(key_states), self._stored(value_states)
            self.lazy_initialization(key_states, value_states)
            self._key_buffer, self._value_buffer = key_states, value_states
            return self._show(key_states.shape[-2])
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        if end > self._key_buffer.shape[-2]:
            self._key_buffer = _with_room(self._key_buffer)
            self._value_buffer = _with_room(self._value_buffer)
        self._key_buffer[:, :, start:end] = key_states
        self._value_buffer[:, :, start:end] = value_states
        return self._show(end)

    def append(self, key_RJD: Tensor, value_RJD: Tensor) -> tuple[Tensor, Tensor]:
        """`update` for one token of each row."""
        return self.update(key_RJD[:, :, None], value_RJD[:, :, None])

    def _stored(self, states: Tensor) -> Tensor:
        return states if self._dtype is None else states.to(self._dtype)

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Row i becomes a copy of row `beam_idx[i]`; rows may be repeated or omitted."""
        used = self.get_seq_length()
        self._key_buffer = _with_room(self._key_buffer[:, :, :used].index_select(0, beam_idx))
        self._value_buffer = _with_room(self._value_buffer[:, :, :used].index_select(0, beam_idx))
        self._show(used)

    def numbers_per_token(self) -> int:
        """Numbers stored of one token of one row."""
        return sum(b.shape[1] * b.shape[3] for b in (self._key_buffer, self._value_buffer))

    def _show(self, used: int) -> tuple[Tensor, Tensor]:
        keys, values = self._key_buffer[:, :, :used], self._value_buffer[:, :, :used]
        self.keys, self.values = keys, values
        return keys, values


def _with_room(states: Tensor) -> Tensor:
    rows, heads, used, head_dim = states.shape
    buffer = states.new_empty(rows, heads, used + max(MIN_ROOM, used // 2), head_dim)
    buffer[:, :, :used] = states
    return buffer


def roomy_cache(config: Any, dtype: torch.dtype | None) -> tuple[Cache, bool]:
    """An empty cache of `dtype` for a model of this configuration, and whether every layer attends to all tokens before.

    A layer with a sliding window keeps all its tokens here; the model's own mask restricts it to the window.
    """
    cache = DynamicCache(config=config)
    attends_to_all = all(type(layer) is DynamicLayer for layer in cache.layers)
    plain = (DynamicLayer, DynamicSlidingWindowLayer)
    cache.layers = [RoomyLayer(dtype) if type(layer) in plain else layer for layer in cache.layers]
    return cache, attends_to_all
