"""Rows of a plain decoder: prompts go through the model's own forward, single tokens through `DecodeStep`.

Axes: R rows, T tokens of prompt and response, V vocabulary.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from prerl_components.samplers.embedded.decode_step import DecodeStep
from prerl_components.samplers.embedded.kv_cache import RoomyLayer
from prerl_components.samplers.embedded.kv_rows import KvRows


class SteppedRows(KvRows):
    """`KvRows` whose rows are advanced by `step`, with keys and values in its dtype."""

    def __init__(self, module: nn.Module, device: torch.device, step: DecodeStep) -> None:
        super().__init__(module, device, step.dtype)
        self._step = step
        layers: Any = self._cache.layers
        self._layers: Sequence[RoomyLayer] = layers
        self._mask_R11T: Tensor | None = None

    def select(self, rows: Tensor) -> None:
        super().select(rows)
        if self._seen_RT is not None:
            # Converted here, once, rather than by every layer at every token.
            seen = self._seen_RT[:, None, None]
            none = torch.zeros(seen.shape, dtype=self._step.dtype, device=self._device)
            self._mask_R11T = none.masked_fill(~seen, -torch.inf)

    def advance(self, token_R: Tensor) -> Tensor:
        """[R, V] logits of the token after `token_R`."""
        mask = None if self._mask_R11T is None else self._mask_R11T[..., : self._layers[0].get_seq_length() + 1]
        with torch.autocast(self._device.type, enabled=False):
            logits_RV = self._step(token_R, self._position_R, mask, self._layers)
        self._position_R = self._position_R + 1
        return logits_RV
