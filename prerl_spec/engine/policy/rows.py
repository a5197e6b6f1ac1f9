"""Lays samples of one view out as the input of one forward: flat, or a sample a row.

A flat row is all samples one after another, without padding, with positions that restart; a prompt that several of them
begin with may stand there once, its responses behind it. `flat_attention.py` keeps the samples apart. In padded rows each
sample has a row of its own, padded at its end, which causal attention never looks at: no mask is needed, so every causal
family can be laid out so.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from prerl_spec.compiler.estimates.shared_prompts import copied_tokens, is_worth_sharing
from prerl_spec.needs import Layout
from prerl_spec.types import Index

Arrangement = Literal["flat", "padded", "alone"]
"""How samples share a forward: all in one flat row, each in a row of its own, or one sample a forward."""


class Stem(NamedTuple):
    """A sequence of `length` tokens in a flat row, then the lengths of those that continue it, each by itself.

    A token attends to earlier ones of its own sequence, and in a branch to the whole stem.
    """

    length: int
    branches: tuple[int, ...] = ()


@dataclass(frozen=True)
class Rows:
    """Samples of one view in B rows: `id_BT`, `position_BT`, and for each of the view's n trained tokens the flat position
    in B·T whose logits predict it (`at_n`), the token id (`target_n`) and its index in the pass (`index_n`).

    `stems`: the sequences of a flat row (B = 1), in order; empty for rows of a sample each.
    """

    id_BT: Index
    position_BT: Index
    at_n: Index
    target_n: Index
    index_n: Index
    num_samples: int
    stems: tuple[Stem, ...] = ()


Worth = Callable[[int, int], bool]


def num_tokens(layout: Layout) -> int:
    """Input tokens of a forward of one sample: the last token predicts no scored token, so it is not an input."""
    return len(layout.context) + sum(len(s.tokens) for s in layout.segments) - 1


def flat_tokens(layouts: Sequence[Layout]) -> int:
    """What a flat row of these samples takes of a pass: its tokens, and copies of the contexts that several share."""
    shared = [(len(layouts[family[0]].context), len(family)) for family in _families(layouts, is_worth_sharing)]
    whole = sum(map(num_tokens, layouts))
    return whole + sum(copied_tokens(context, n) - context * (n - 1) for context, n in shared)


def flat_row(layouts: Sequence[Layout], token_starts: Sequence[int], worth: Worth = is_worth_sharing) -> Rows:
    """One row [1, T]; `token_starts[i]` is where the trained tokens of sample i begin in the pass.

    Samples with equal contexts share it where that is `worth` it. Others stand by falling length: neighbours of equal
    length take one attention call.
    """
    samples = [_Sample.of(*one) for one in zip(layouts, token_starts, strict=True)]
    families = _families(layouts, worth)
    in_family = {i for family in families for i in family}
    singles = sorted((i for i in range(len(samples)) if i not in in_family), key=lambda i: (-samples[i].length, i))
    row = _FlatRow()
    for family in families:
        row.add_family([samples[i] for i in sorted(family, key=lambda i: (-samples[i].length, i))])
    for i in singles:
        row.add(samples[i])
    return row.rows(len(samples))


def padded_rows(layouts: Sequence[Layout], token_starts: Sequence[int]) -> Rows:
    """A row [T] a sample, T the longest one's length, in order of the samples."""
    samples = [_Sample.of(*one) for one in zip(layouts, token_starts, strict=True)]
    width = max(sample.length for sample in samples)
    id_BT = np.zeros((len(samples), width), dtype=np.int64)
    for row, sample in enumerate(samples):
        id_BT[row, : sample.length] = sample.ids
    return Rows(
        id_BT,
        np.tile(np.arange(width), (len(samples), 1)),
        np.concatenate([row * width + s.at for row, s in enumerate(samples)]),
        np.concatenate([s.targets for s in samples]),
        np.concatenate([s.at_pass for s in samples]),
        len(samples),
    )


def _families(layouts: Sequence[Layout], worth: Worth) -> list[list[int]]:
    """The samples that share a context, family after family, in order of their first ones."""
    alike: dict[tuple[int, ...], list[int]] = {}
    for i, layout in enumerate(layouts):
        alike.setdefault(layout.context, []).append(i)
    return [found for context, found in alike.items() if len(found) > 1 and worth(len(context), len(found))]


class _Sample(NamedTuple):
    """A sample as arrays: input `ids`, of which `context` come before its response; of its trained tokens the positions in
    `ids` that predict them (`at`), their ids (`targets`) and their indices in the pass
    (`at_pass`)."""

    ids: Index
    context: int
    at: Index
    targets: Index
    at_pass: Index

    @property
    def length(self) -> int:
        return len(self.ids)

    @classmethod
    def of(cls, layout: Layout, start: int) -> "_Sample":
        tokens = np.asarray([t for s in layout.segments for t in s.tokens], dtype=np.int64)
        trained = np.repeat([s.trained for s in layout.segments], [len(s.tokens) for s in layout.segments])
        places = np.flatnonzero(trained)
        context = len(layout.context)
        ids = np.concatenate([layout.context, tokens[:-1]]).astype(np.int64)
        return cls(ids, context, places + (context - 1), tokens[places], np.arange(start, start + len(places)))


class _FlatRow:
    """A flat row while it is being laid."""

    def __init__(self) -> None:
        self._stems: list[Stem] = []
        self._ids: list[Index] = []
        self._positions: list[Index] = []
        self._scored: list[tuple[Index, Index, Index]] = []
        self._end = 0

    def add(self, sample: _Sample) -> None:
        self._score(sample, sample.at + self._end)
        self._stems.append(Stem(sample.length))
        self._append(sample.ids, 0)

    def add_family(self, samples: Sequence[_Sample]) -> None:
        """The context of the first sample, which all have, then what each has behind it."""
        context = samples[0].context
        stem = self._end
        self._stems.append(Stem(context, tuple(s.length - context for s in samples if s.length > context)))
        self._append(samples[0].ids[:context], 0)
        for sample in samples:
            # The last token of the context predicts the first of every response.
            self._score(sample, np.where(sample.at < context, stem, self._end - context) + sample.at)
            self._append(sample.ids[context:], context)

    def rows(self, num_samples: int) -> Rows:
        at_n, target_n, index_n = (np.concatenate(arrays) for arrays in zip(*self._scored, strict=True))
        ids, positions = np.concatenate(self._ids)[None], np.concatenate(self._positions)[None]
        return Rows(ids, positions, at_n, target_n, index_n, num_samples, tuple(self._stems))

    def _score(self, sample: _Sample, at: Index) -> None:
        self._scored.append((at, sample.targets, sample.at_pass))

    def _append(self, ids: Index, first_position: int) -> None:
        self._ids.append(ids)
        self._positions.append(np.arange(first_position, first_position + len(ids)))
        self._end += len(ids)
