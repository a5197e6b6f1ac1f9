"""Packs samples into passes and their tokens into rows; deterministic and the same on every rank, before any forward.

A pass holds whole samples with all their views. For each view the tokens are packed into rows, sample after sample,
with positions restarting at 0 (the model's mask then separates the samples: `policy.py` checks this when it loads the
model). A sample is never split: one that is longer than the budget has its own pass.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from prerl_spec.engine.author_faults import blames
from prerl_spec.engine.processes.work_split import Division
from prerl_spec.errors import RunFailed
from prerl_spec.needs import Layout, View
from prerl_spec.text import Codec
from prerl_spec.types import Attempt, Index, Prompt, Segment, Step, Tokens

ROW_TOKENS = 256
"""Row length, or the longest sample's if that is longer: attention cost is quadratic in the row length, so several
short rows are cheaper than a long one (1.7 x at 1024 tokens of 72-token samples, one CPU thread)."""


@dataclass(frozen=True)
class Rows:
    """Samples of one view, concatenated in B rows: `id_BT`, restarting `position_BT` (a row's padding is a separate
    segment), and for each of the view's n trained tokens the flat position in B·T whose logits predict it (`at_n`), the
    token id (`target_n`) and its index in the pass (`index_n`)."""

    id_BT: Index
    position_BT: Index
    at_n: Index
    target_n: Index
    index_n: Index
    num_samples: int


@dataclass(frozen=True)
class Pass:
    """Samples (by their index in the minibatch) of one forward and backward pass; `index_N` are the indices of their
    tokens among the minibatch's N."""

    sample_ids: tuple[int, ...]
    tokens: Tokens
    index_N: Index
    rows: Mapping[View, Rows]


def _layout(view: View, prompt: Prompt, attempt: Attempt, codec: Codec) -> Layout:
    """The view's layout of an attempt. Raises RunFailed for an invalid layout, which is an error of the view."""
    with blames(view, "lay"):
        layout = view.lay(prompt, attempt, codec)
    fault = None
    if not layout.context:
        fault = "no context: nothing would predict the first response token"
    elif layout.segments is not attempt.segments and _trained(layout.segments) != _trained(attempt.segments):
        fault = "trained tokens that differ from the attempt's: every view must score the same ones"
    if fault is not None:
        raise RunFailed(f"the view `{view.name}` lays out {fault}", hint="fix the view's `lay`")
    return layout


def _trained(segments: Sequence[Segment]) -> list[int]:
    return [token for segment in segments if segment.trained for token in segment.tokens]


def plan_passes(costs: Sequence[int], budget: int, *, alone: bool = False) -> list[tuple[int, ...]]:
    """First-fit decreasing: packs samples (0 … len(costs)-1) into passes of at most `budget` tokens.

    With `alone` every sample has its own pass. Ties keep their order, so the result depends on the costs only.
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
    # The last token predicts no scored token, so it is not an input.
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


def pack_shares(
    step: Step,
    samples_of_view: Mapping[View, Sequence[int]],
    codec: Codec,
    division: Division,
    *,
    tokens_per_pass: int,
    alone: bool = False,
) -> dict[int, list[Pass]]:
    """The passes of this rank's shares, in order; each share is packed separately, whichever rank processes it.

    Groups are assigned to shares by their slot, so that groups stay whole and, with one share per rank, a rank trains
    on the rollouts it sampled. Every share has as many passes as the largest one: others are padded with passes without
    samples (sharded models need equal numbers of forwards).
    """
    wanted = {view: frozenset(samples) for view, samples in samples_of_view.items()}
    prompts = [group.prompt for group in step.groups for _ in group.attempts]
    layouts = {
        view: {s: _layout(view, prompts[s], step.samples[s], codec) for s in sorted(samples)}
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
    """Input tokens of a forward."""
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
