"""Attention over a flat row (`rows.Stem`): a sample attends to itself, and behind a shared prompt to the prompt as well.

One function, registered with transformers' AttentionInterface and chosen only while a flat row goes forward: the sampler
runs the same module with the model's own. It is plain causal attention; a model that asks for anything else (a sliding
window, a soft cap, sinks, a bias, a mask of its own) raises `Unfit`, already when it is opened. No mask is built, so that
kernels for causal attention serve; on a GPU in 16 bits it is one call of torch's `varlen_attn`.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from inspect import signature
from itertools import accumulate, groupby
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention.varlen import varlen_attn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedConfig
from transformers.masking_utils import causal_mask_function

from prerl_spec.engine.policy.rows import Stem

NAME = "prerl_flat_row"
ASKING = "prerl_flat_row_asking"
"""The same, while a model is asked which masks it would build."""

WITHOUT_EFFECT = frozenset({"position_ids", "cache_position", "use_cache", "output_attentions", "output_hidden_states"})
"""Arguments of an attention call that change nothing here; any other that is set makes a model `Unfit`."""

BLOCK = 256
"""Queries of a call behind a prompt: each is over a rectangle of queries x keys, of which the part after the diagonal is
computed in vain."""
GROUPED = "enable_gqa"
"""`varlen_attn` has it from torch 2.12 on."""
VARLEN_HEAD = 256
"""Largest head size of torch's flash kernels."""


class Unfit(Exception):
    """The model's attention is more than causal: its samples cannot share a flat row."""


class FlatRow:
    """The sequences of the flat row that goes forward, and what all its layers need, computed once."""

    def __init__(self, stems: Sequence[Stem]) -> None:
        self.stems = tuple(stems)
        self.pieces = [length for stem in self.stems for length in (stem.length, *stem.branches)]
        """Lengths of stems and branches, in order."""
        self.runs = [(stem, len(list(equal))) for stem, equal in groupby(self.stems)]
        self.readers: set[nn.Module] = set()
        """The modules whose attention was computed over the row."""
        self.longest = tuple(max(lengths) for lengths in zip(*self.sequences(), strict=True))
        """Most queries and most keys of a sequence."""
        self._ends: tuple[Tensor, Tensor] | None = None
        self._masks: dict[tuple[int, int], Tensor] = {}

    def sequences(self) -> Iterator[tuple[int, int]]:
        """(queries, keys) of each attention problem: a branch's keys are the stem's and its own."""
        for stem in self.stems:
            yield stem.length, stem.length
            for branch in stem.branches:
                yield branch, stem.length + branch

    def ends(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Where each sequence's queries and keys end, from 0 on, int32 [sequences + 1]."""
        if self._ends is None:
            queries, keys = zip(*self.sequences(), strict=True)
            of = [torch.tensor([0, *accumulate(n)], dtype=torch.int32, device=device) for n in (queries, keys)]
            self._ends = of[0], of[1]
        return self._ends

    def mask(self, queries: int, keys: int, like: Tensor) -> Tensor:
        """[queries, keys] to add to scores: 0 and −∞, the queries being the last of the keys' positions."""
        if (queries, keys) not in self._masks:
            hidden = torch.full((queries, keys), -torch.inf, dtype=like.dtype, device=like.device)
            self._masks[queries, keys] = hidden.triu(keys - queries + 1)
        return self._masks[queries, keys]


_ROW: ContextVar[FlatRow | None] = ContextVar("flat_row", default=None)


@contextmanager
def flat_row_of(model: nn.Module, row: FlatRow | None, name: str = NAME) -> Iterator[None]:
    """Within, the model's forwards are over this flat row; None: over rows of its own attention."""
    if row is None:
        yield
        return
    # All parts of a model read one configuration, but for a text model within a larger one.
    configs = {id(c): c for m in model.modules() if isinstance(c := getattr(m, "config", None), PreTrainedConfig)}
    before = [(config, config._attn_implementation) for config in configs.values()]
    token = _ROW.set(row)
    try:
        for config in configs.values():
            # Not the property: it would check, and set the configurations below.
            config._attn_implementation_internal = name
        yield
    finally:
        for config, own in before:
            config._attn_implementation_internal = own
        _ROW.reset(token)


def same_row_of(model: nn.Module) -> AbstractContextManager[None]:
    """A later forward of (a part of) the model over the row that goes forward now: for recomputed activations."""
    row = _ROW.get()
    return nullcontext() if row is None else flat_row_of(model, row)


def flat_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    **more: Any,
) -> tuple[Tensor, None]:
    """transformers' signature of an attention function: query [1, heads, T, size], key and value [1, KV heads, T, size]
    -> [1, T, heads, size]. Raises Unfit for anything but causal attention."""
    row = _ROW.get()
    assert row is not None, "chosen by `flat_row_of` only"
    asked = sorted(k for k, v in more.items() if v is not None and v is not False and k not in WITHOUT_EFFECT)
    row.readers.add(module)
    causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    if attention_mask is not None or dropout or not causal or asked or len(query) != 1:
        raise Unfit(f"{type(module).__name__} asks for {', '.join(asked) or 'more than causal attention'}")
    if torch.is_autocast_enabled(query.device.type):
        # Once here instead of once a sequence: norms and rotations have left queries and keys in float32.
        dtype = torch.get_autocast_dtype(query.device.type)
        query, key, value = query.to(dtype), key.to(dtype), value.to(dtype)
    attend = _varlen if _has_varlen(query, value) else _piece_by_piece
    return attend(query, key, value, row, scaling), None


def require_causal(model: Any, device: torch.device) -> None:
    """Raises Unfit for a model with a layer whose attention is not computed here, or is over more than a causal mask.

    It runs a text of two tokens and looks at what is asked for: a text must be longer than a sliding window to show it in
    its log-probabilities, and a bias, or a layer of another kind, may be small in an untrained model.
    """
    config = model.config.get_text_config()
    if config._attn_implementation == "eager":
        raise Unfit("the model's own operations are asked for, one by one")
    row = FlatRow([Stem(2)])
    try:
        with torch.no_grad(), flat_row_of(model, row, ASKING):
            model(input_ids=torch.zeros(1, 2, dtype=torch.long, device=device), use_cache=False)
    except (KeyError, AttributeError, TypeError, ValueError, NotImplementedError) as error:
        # A model's own code may know the functions of attention by name.
        raise Unfit(f"the model takes no other attention: {error}") from error
    layers = getattr(config, "num_hidden_layers", None)
    if len(row.readers) != layers:
        raise Unfit(f"{len(row.readers)} of {layers} layers compute their attention through transformers' interface")


def _only_causal(*, mask_function: Any, attention_mask: Tensor | None = None, **_: Any) -> None:
    """transformers' signature of a function that builds masks: it builds none."""
    if mask_function is not causal_mask_function or attention_mask is not None:
        raise Unfit("the model asks for a mask that is more than causal")


def _has_varlen(query: Tensor, value: Tensor) -> bool:
    size = query.shape[-1]
    return query.is_cuda and query.dtype in (torch.bfloat16, torch.float16) and size == value.shape[-1] <= VARLEN_HEAD


def _varlen(query: Tensor, key: Tensor, value: Tensor, row: FlatRow, scaling: float | None) -> Tensor:
    """One kernel for all sequences. Queries are the last positions of a sequence with more keys than queries."""
    grouped: dict[str, Any] = {}
    if query.shape[1] != key.shape[1]:
        if GROUPED in signature(varlen_attn).parameters:
            grouped[GROUPED] = True
        else:
            key, value = (x.repeat_interleave(query.shape[1] // x.shape[1], dim=1) for x in (key, value))
    q, k, v = query[0].transpose(0, 1), _behind_stems(key, row), _behind_stems(value, row)
    ends = row.ends(query.device)
    found = varlen_attn(q, k, v, *ends, *row.longest, scale=scaling, window_size=(-1, 0), **grouped)
    assert isinstance(found, Tensor), "nothing else was requested"
    return found.unsqueeze(0)


def _behind_stems(keys: Tensor, row: FlatRow) -> Tensor:
    """[1, heads, T, size] -> [T', heads, size]: each branch's keys behind a copy of its stem's."""
    flat = keys[0].transpose(0, 1)
    if not any(stem.branches for stem in row.stems):
        return flat
    pieces = iter(torch.split(flat, row.pieces))
    found: list[Tensor] = []
    for stem in row.stems:
        trunk = next(pieces)
        found.append(trunk)
        for _ in stem.branches:
            found += [trunk, next(pieces)]
    return torch.cat(found)


def _piece_by_piece(query: Tensor, key: Tensor, value: Tensor, row: FlatRow, scaling: float | None) -> Tensor:
    """A call for each run of equal sequences, and for each run of equal branches of a stem."""
    grouped = query.shape[1] != key.shape[1]

    def call(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
        return scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=mask is None, scale=scaling, enable_gqa=grouped
        )

    if len(row.runs) == 1 and not row.stems[0].branches:
        q, k, v = (_unfolded(x, len(row.stems)) for x in (query, key, value))
        return _folded(call(q, k, v))
    found: list[Tensor] = []
    sizes = [size for stem, count in row.runs for size in _run_sizes(stem, count)]
    pieces = zip(*(torch.split(x, sizes, dim=2) for x in (query, key, value)), strict=True)
    for stem, count in row.runs:
        if not stem.branches:
            q, k, v = (_unfolded(x, count) for x in next(pieces))
            found.append(_folded(call(q, k, v)))
            continue
        for _ in range(count):
            q, trunk_k, trunk_v = next(pieces)
            found.append(call(q, trunk_k, trunk_v).transpose(1, 2))
            for length, equal in groupby(stem.branches):
                number = len(list(equal))
                q, k, v = (_unfolded(x, number) for x in next(pieces))
                k = torch.cat([trunk_k.expand(number, -1, -1, -1), k], dim=2)
                v = torch.cat([trunk_v.expand(number, -1, -1, -1), v], dim=2)
                blocks: list[Tensor] = []
                for start in range(0, length, BLOCK):
                    end = min(start + BLOCK, length)
                    keys = stem.length + end
                    mask = row.mask(end - start, keys, q)
                    blocks.append(call(q[:, :, start:end], k[:, :, :keys], v[:, :, :keys], mask))
                found.append(_folded(torch.cat(blocks, dim=2) if len(blocks) > 1 else blocks[0]))
    return torch.cat(found, dim=1)


def _run_sizes(stem: Stem, count: int) -> list[int]:
    """Tokens of the pieces of `count` equal stems: one for all without branches, else trunks and runs of equal branches."""
    if not stem.branches:
        return [stem.length * count]
    return [stem.length, *(sum(equal) for _, equal in groupby(stem.branches))] * count


def _unfolded(x: Tensor, count: int) -> Tensor:
    """[1, heads, count·length, size] -> [count, heads, length, size], without a copy."""
    heads, tokens, size = x.shape[1:]
    return x.view(heads, count, tokens // count, size).transpose(0, 1)


def _folded(x: Tensor) -> Tensor:
    """[count, heads, length, size] -> [1, count·length, heads, size]."""
    return x.transpose(1, 2).flatten(0, 1)[None]


AttentionInterface.register(NAME, flat_attention)
AttentionInterface.register(ASKING, flat_attention)
AttentionMaskInterface.register(ASKING, _only_causal)
