"""Prompts in a key-value cache: each prefilled once, copied to its rows, and advanced token by token.

Axes: P prompts, R rows (samples being continued), L tokens of the longest prompt, V vocabulary.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from prerl_components.samplers.embedded.kv_cache import RoomyLayer, roomy_cache


class KvRows:
    """A batch of rows that a causal language model continues through its own forward pass.

    Prompts are left-padded to L columns, with positions counted from their first token and the padding masked out. Keys and
    values are kept in `dtype`; None: as the model computes them.
    """

    def __init__(self, module: nn.Module, device: torch.device, dtype: torch.dtype | None = None) -> None:
        self._module = module
        self._device = device
        config: Any = module.config
        self._cache, attends_to_all = roomy_cache(config, dtype)
        # If all layers share one mask and use it unchanged, passing a view of ours saves the model from building its own
        # from the padding at each token (0.15 ms of Python at three layers).
        self._ready_mask = attends_to_all and config._attn_implementation == "sdpa"
        self._seen_RT: Tensor | None = None
        self._position_R = torch.zeros(0, dtype=torch.long, device=device)

    def prefill(
        self, contexts: Sequence[Sequence[int]], num_new: int, width: int | None = None, first_position: int = 0
    ) -> Tensor:
        """[P, V] logits of the first new token of each prompt; up to `num_new` tokens will be appended.

        `width` fixes the number of columns, and a mask is then used for equal lengths too; by default it is the longest
        prompt's length. `first_position` is that of every prompt's first token.
        """
        lengths = torch.tensor([len(context) for context in contexts], device=self._device)
        longest = width or max(len(context) for context in contexts)
        ids_PL = torch.tensor([[0] * (longest - len(c)) + list(c) for c in contexts], device=self._device)
        column_L = torch.arange(longest, device=self._device)
        position_PL = (column_L - (longest - lengths)[:, None]).clamp_min(0) + first_position
        if width is not None or any(len(context) < longest for context in contexts):
            new = torch.ones(len(contexts), num_new, dtype=torch.bool, device=self._device)
            self._seen_RT = torch.cat([column_L >= (longest - lengths)[:, None], new], dim=1)
        self._position_R = lengths + first_position
        mask = None if self._seen_RT is None else self._seen_RT[:, :longest]
        return self._forward(ids_PL, position_PL, mask)

    def select(self, rows: Tensor) -> None:
        """Row i becomes a copy of the current row `rows[i]`; rows may be repeated or omitted."""
        self._cache.reorder_cache(rows)  # type: ignore[arg-type]
        self._position_R = self._position_R.index_select(0, rows)
        if self._seen_RT is not None:
            self._seen_RT = self._seen_RT.index_select(0, rows)

    def advance(self, token_R: Tensor) -> Tensor:
        """[R, V] logits of the token after `token_R`."""
        mask = None
        if self._seen_RT is not None:
            mask = self._seen_RT[:, : self._cache.get_seq_length() + 1]
            mask = mask[:, None, None, :] if self._ready_mask else mask
        logits_RV = self._forward(token_R[:, None], self._position_R[:, None], mask)
        self._position_R = self._position_R + 1
        return logits_RV

    def numbers_per_token(self) -> int:
        """Numbers that the cache stores of one token of one row; known after the prefill."""
        return sum(layer.numbers_per_token() for layer in self._cache.layers if isinstance(layer, RoomyLayer))

    def _forward(self, ids: Tensor, positions: Tensor, mask: Tensor | None) -> Tensor:
        output = self._module(
            input_ids=ids,
            position_ids=positions,
            attention_mask=mask,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: Tensor = output.logits[:, -1]
        return logits
