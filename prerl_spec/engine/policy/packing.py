"""Packs samples into passes; deterministic and the same on every rank, before any forward.

A pass holds whole samples with all their views, laid out by `rows.py`. A sample is never split: one that is longer than the
budget has its own pass. Where samples of a group share their prompt they go together, in as few parts as the budget allows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from prerl_spec.engine.author_faults import blames
from prerl_spec.engine.policy.rows import Arrangement, Rows, flat_row, flat_tokens, num_tokens, padded_rows
from prerl_spec.engine.processes.work_split import Division
from prerl_spec.errors import RunFailed
from prerl_spec.needs import Layout, View
from prerl_spec.text import Codec
from prerl_spec.types import Attempt, Index, Prompt, Segment, Step, Tokens

LaidOut = Mapping[View, Mapping[int, Layout]]
"""The layouts of a step's samples, by their index, in each view that has them."""


@dataclass(frozen=True)
class Pass:
    """Samples (by their index in the minibatch) of one forward and backward pass; `index_N` are the indices of their
    tokens among the minibatch's N."""

    sample_ids: tuple[int, ...]
    tokens: Tokens
    index_N: Index
    rows: Mapping[View, Rows]


def pack_shares(
    step: Step,
    samples_of_view: Mapping[View, Sequence[int]],
    codec: Codec,
    division: Division,
    *,
    tokens_per_pass: int,
    arrangement: Arrangement = "flat",
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
    by_share = [
        [s for s in together if slots[step.group_S[s]] % division.num_shares == n] for n in range(division.num_shares)
    ]
    planned = [_plan(share, step.group_S, layouts, tokens_per_pass, arrangement) for share in by_share]
    num_passes = max(map(len, planned))
    return {
        n: [_build_pass(step, chosen, layouts, arrangement) for chosen in planned[n]]
        + [_build_pass(step, (), layouts, arrangement)] * (num_passes - len(planned[n]))
        for n in division.mine
    }


def lay_rows(layouts: Sequence[Layout], token_starts: Sequence[int], arrangement: Arrangement) -> Rows:
    """Lays samples of one view out in rows; `token_starts[i]` is where the trained tokens of sample i begin in the pass."""
    return (flat_row if arrangement == "flat" else padded_rows)(layouts, token_starts)


def first_fit(costs: Sequence[int], budget: int) -> list[tuple[int, ...]]:
    """First-fit decreasing: packs items (0 … len(costs)-1) into bins of at most `budget`; a dearer one has its own.

    Ties keep their order, so the result depends on the costs only.
    """
    bins: list[list[int]] = []
    room: list[int] = []
    for item in sorted(range(len(costs)), key=lambda i: (-costs[i], i)):
        place = next((i for i, left in enumerate(room) if left >= costs[item]), None)
        if place is None:
            bins.append([item])
            room.append(budget - costs[item])
        else:
            bins[place].append(item)
            room[place] -= costs[item]
    return [tuple(sorted(b)) for b in bins]


def fill_padded(lengths: Sequence[Sequence[int]], budget: int) -> list[tuple[int, ...]]:
    """Samples (0 … len(lengths)-1) in passes of at most `budget` tokens, padding counted; `lengths[s]` are those of a
    sample in each view. The longest go first, so that samples of similar length share a pass."""
    passes: list[list[int]] = []
    widest: list[int] = []
    for s in sorted(range(len(lengths)), key=lambda s: (-sum(lengths[s]), s)):
        wider = [max(pair) for pair in zip(widest or lengths[s], lengths[s], strict=True)]
        if passes and sum(wider) * (len(passes[-1]) + 1) <= budget:
            passes[-1].append(s)
            widest = wider
        else:
            passes.append([s])
            widest = list(lengths[s])
    return [tuple(sorted(p)) for p in passes]


def _plan(
    share: Sequence[int], group_S: Index, layouts: LaidOut, budget: int, arrangement: Arrangement
) -> list[tuple[int, ...]]:
    """The passes of a share's samples."""
    if arrangement == "flat":
        units = [part for unit in _units(share, group_S) for part in _parts(unit, layouts, budget)]
        chosen = first_fit([_flat_cost(unit, layouts) for unit in units], budget)
        return [tuple(sorted(s for i in bin for s in units[i])) for bin in chosen]
    lengths = [[num_tokens(of[s]) if s in of else 0 for of in layouts.values()] for s in share]
    filled = fill_padded(lengths, budget if arrangement == "padded" else 1)
    return [tuple(share[i] for i in chosen) for chosen in filled]


def _units(share: Sequence[int], group_S: Index) -> list[list[int]]:
    """A share's samples, group by group."""
    of_group: dict[int, list[int]] = {}
    for s in share:
        of_group.setdefault(int(group_S[s]), []).append(s)
    return list(of_group.values())


def _parts(unit: Sequence[int], layouts: LaidOut, budget: int) -> list[tuple[int, ...]]:
    """A group's samples one by one where they share nothing, else in the fewest parts of equal size that fit in a pass."""
    alone = [_flat_cost([s], layouts) for s in unit]
    together = _flat_cost(unit, layouts)
    if together == sum(alone):
        return [(s,) for s in unit]
    longest_first = [unit[i] for i in sorted(range(len(unit)), key=lambda i: (-alone[i], i))]
    for number in range(max(1, -(-together // budget)), len(unit)):
        parts = [tuple(longest_first[n::number]) for n in range(number)]
        if all(_flat_cost(part, layouts) <= budget for part in parts):
            return parts
    return [(s,) for s in unit]


def _flat_cost(samples: Sequence[int], layouts: LaidOut) -> int:
    """Input tokens of these samples in all their views."""
    return sum(flat_tokens([of[s] for s in samples if s in of]) for of in layouts.values())


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


def _build_pass(step: Step, samples: tuple[int, ...], layouts: LaidOut, arrangement: Arrangement) -> Pass:
    tokens, index_N = step.tokens.of_samples(samples)
    starts = np.concatenate([[0], np.cumsum(tokens.length_S)])
    rows: dict[View, Rows] = {}
    for view, of_sample in layouts.items():
        chosen = [i for i, s in enumerate(samples) if s in of_sample]
        if chosen:
            rows[view] = lay_rows([of_sample[samples[i]] for i in chosen], [starts[i] for i in chosen], arrangement)
    return Pass(samples, tokens, index_N, rows)
