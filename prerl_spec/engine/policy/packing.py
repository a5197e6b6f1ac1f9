"""Which samples share a pass, and how their tokens share a row; decided alike on every rank, before any forward.

A pass holds whole samples with all their views. For each view their tokens stand in rows, sample after sample, each with
positions from 0 (the model's mask then keeps them apart: `policy.py` checks that at open). A sample is never cut: one that
is longer than the budget has a pass to itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from prerl_spec.engine.processes.work_split import Division
from prerl_spec.errors import RunFailed
from prerl_spec.needs import Layout, View
from prerl_spec.text import Codec
from prerl_spec.types import Attempt, Index, Prompt, Segment, Step, Tokens

ROW_TOKENS = 256
"""Rows are this long, or as the longest sample: attention costs the square of a row's length, so several short rows are
cheaper than a long one (1.7 x at 1024 tokens of 72-token samples, one CPU thread)."""


@dataclass(frozen=True)
class Rows:
    """Samples of one view, end to end in B rows: `id_BT`, restarting `position_BT` (a row's padding is a segment of its
    own), and for each of the view's n trained tokens the flat place in B·T whose logits predict it (`at_n`), the token
    (`target_n`) and its number in the pass (`index_n`)."""

    id_BT: Index
    position_BT: Index
    at_n: Index
    target_n: Index
    index_n: Index
    num_samples: int


@dataclass(frozen=True)
class Pass:
    """Samples (by their number in the update) that go forward and backward together; `index_N` are their tokens' places
    in the update's N."""

    sample_ids: tuple[int, ...]
    tokens: Tokens
    index_N: Index
    rows: Mapping[View, Rows]


def laid_out(view: View, prompt: Prompt, attempt: Attempt, codec: Codec) -> Layout:
    """An attempt as the view has it scored. Raises RunFailed for a layout that cannot be: the view's own fault."""
    layout = view.lay(prompt, attempt, codec)
    fault = None
    if not layout.context:
        fault = "no context: the first response token would have nothing to be predicted from"
    elif layout.segments is not attempt.segments and _trained(layout.segments) != _trained(attempt.segments):
        fault = "other trained tokens than the attempt's: every view scores the same ones"
    if fault is not None:
        raise RunFailed(f"the view `{view.name}` lays out {fault}", hint="correct the view's `lay`")
    return layout


def _trained(segments: Sequence[Segment]) -> list[int]:
    return [token for segment in segments if segment.trained for token in segment.tokens]


def plan_passes(costs: Sequence[int], budget: int, *, alone: bool = False) -> list[tuple[int, ...]]:
    """First-fit decreasing: samples (0 … len(costs)-1) into passes of at most `budget` tokens.

    `alone` gives every sample its own pass. Ties keep their order, so the result depends on the costs only.
    """
    order = sorted(range(len(costs)), key=lambda s: (-costs[s], s))
    if alone:
        return [(s,) for s in order]
    bins: list[list[int]] = []
    room: list[int] = []
    for sample in order:
        place = next((i for i, left in enumerate(room) if left >= costs[sample]), None)
        if place is None:
            bins.append([sample])
            room.append(budget - costs[sample])
        else:
            bins[place].append(sample)
            room[place] -= costs[sample]
    return [tuple(sorted(b)) for b in bins]


def build_rows(layouts: Sequence[Layout], token_starts: Sequence[int], row_tokens: int = ROW_TOKENS) -> Rows:
    """Packs samples into rows; `token_starts[i]` is where the trained tokens of sample i begin in the pass."""
    tokens = [np.asarray([t for s in layout.segments for t in s.tokens], dtype=np.int64) for layout in layouts]
    trained = [np.repeat([s.trained for s in x.segments], [len(s.tokens) for s in x.segments]) for x in layouts]
    # The last token predicts nothing that is scored, so it never enters a forward.
    sequences = [np.concatenate([x.context, t[:-1]]).astype(np.int64) for x, t in zip(layouts, tokens, strict=True)]
    lengths = [len(sequence) for sequence in sequences]
    rows = plan_passes(lengths, max(row_tokens, *lengths))
    width = max(sum(lengths[i] for i in row) for row in rows)
    id_BT = np.zeros((len(rows), width), dtype=np.int64)
    position_BT = np.zeros((len(rows), width), dtype=np.int64)
    at: list[Index] = []
    targets: list[Index] = []
    indices: list[Index] = []
    for number, row in enumerate(rows):
        offset = 0
        for i in row:
            end = offset + lengths[i]
            id_BT[number, offset:end] = sequences[i]
            position_BT[number, offset:end] = np.arange(lengths[i])
            places = np.flatnonzero(trained[i])
            at.append(places + (number * width + offset + len(layouts[i].context) - 1))
            targets.append(tokens[i][places])
            indices.append(np.arange(token_starts[i], token_starts[i] + len(places)))
            offset = end
        position_BT[number, offset:] = np.arange(width - offset)
    return Rows(
        id_BT,
        position_BT,
        np.concatenate(at),
        np.concatenate(targets),
        np.concatenate(indices),
        num_samples=len(layouts),
    )


def pack(
    step: Step,
    samples_of_view: Mapping[View, Sequence[int]],
    codec: Codec,
    *,
    tokens_per_pass: int,
    alone: bool = False,
    rank: int = 0,
    size: int = 1,
) -> list[Pass]:
    """The passes of one of `size` shares over the samples that carry weight, view by view."""
    division = Division.by_rank(rank, size)
    return pack_shares(step, samples_of_view, codec, division, tokens_per_pass=tokens_per_pass, alone=alone)[rank]


def pack_shares(
    step: Step,
    samples_of_view: Mapping[View, Sequence[int]],
    codec: Codec,
    division: Division,
    *,
    tokens_per_pass: int,
    alone: bool = False,
) -> dict[int, list[Pass]]:
    """The passes of this rank's shares, in order; a share is packed by itself, whoever works on it.

    Groups are dealt to shares by their slot, so that whole groups stay together and, where each rank has one share, a rank
    trains on what it drew. Every share has the number of passes of the longest one: short ones are filled up with passes
    without samples (sharded models need equal forwards).
    """
    wanted = {view: frozenset(samples) for view, samples in samples_of_view.items()}
    prompts = [group.prompt for group in step.groups for _ in group.attempts]
    layouts = {
        view: {s: laid_out(view, prompts[s], step.samples[s], codec) for s in sorted(samples)}
        for view, samples in wanted.items()
    }
    together = sorted(frozenset().union(*wanted.values())) if wanted else []
    slots = [g.slot for g in step.groups]
    groups = step.group_S
    cost = {s: sum(_length(of_view[s]) for of_view in layouts.values() if s in of_view) for s in together}
    by_share = [
        [s for s in together if slots[groups[s]] % division.num_shares == n] for n in range(division.num_shares)
    ]
    planned = [plan_passes([cost[s] for s in share], tokens_per_pass, alone=alone) for share in by_share]
    num_passes = max(map(len, planned))
    return {
        n: [_build_pass(step, tuple(by_share[n][i] for i in chosen), layouts) for chosen in planned[n]]
        + [_build_pass(step, (), layouts)] * (num_passes - len(planned[n]))
        for n in division.mine
    }


def _length(layout: Layout) -> int:
    """Tokens that go forward."""
    return len(layout.context) + sum(len(s.tokens) for s in layout.segments) - 1


def _build_pass(step: Step, samples: tuple[int, ...], layouts: Mapping[View, Mapping[int, Layout]]) -> Pass:
    tokens, index_N = step.tokens.of_samples(samples)
    starts = np.concatenate([[0], np.cumsum(tokens.length_S)])
    rows: dict[View, Rows] = {}
    for view, of_sample in layouts.items():
        chosen = [i for i, s in enumerate(samples) if s in of_sample]
        if chosen:
            rows[view] = build_rows([of_sample[samples[i]] for i in chosen], [starts[i] for i in chosen])
    return Pass(samples, tokens, index_N, rows)
