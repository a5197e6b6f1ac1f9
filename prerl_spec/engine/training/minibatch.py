"""The minibatch of one update: its samples, and the credit (advantages and weights) of each part of the objective."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import pairwise
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
import numpy.typing as npt

from prerl_spec.engine.author_faults import blames, defined_at, require_finite, token_place
from prerl_spec.engine.training.slots import Sizes, Watched, require_numbers
from prerl_spec.errors import RunFailed
from prerl_spec.needs import Batch, Credit, Need, State, View
from prerl_spec.registry.kinds.objective import Objective
from prerl_spec.storage.checks import sha256_start
from prerl_spec.types import Array, Step


class PartCredit(NamedTuple):
    """A part of an objective, and its credit for a minibatch."""

    part: Objective
    credit: Credit


@dataclass(frozen=True)
class Minibatch:
    """Minibatch `index` of a batch: its range `samples` of the batch's S samples, and the credit of each part."""

    index: int
    step: Step
    samples: range
    credits: tuple[PartCredit, ...]

    @cached_property
    def weighted_N(self) -> npt.NDArray[np.bool_]:
        """[N] True where any part assigns the token a nonzero weight."""
        weighted_N = np.zeros(self.step.tokens.num_tokens, dtype=bool)
        for _, credit in self.credits:
            weighted_N |= credit.weight_N != 0
        return weighted_N

    @property
    def num_weighted_tokens(self) -> int:
        return int(self.weighted_N.sum())

    @property
    def num_groups_with_signal(self) -> int:
        """Number of groups with a nonzero-weight token."""
        return len(np.unique(self.step.group_S[self.step.tokens.sample_N[self.weighted_N]]))

    def samples_by_need(self) -> dict[Need, list[int]]:
        """For each Need of the terms, the samples (of this minibatch, from 0) to which a part that reads it assigns
        nonzero weight."""
        wanted: dict[Need, set[int]] = {}
        for part, credit in self.credits:
            samples = set(np.unique(self.step.tokens.sample_N[credit.weight_N != 0]).tolist())
            for need in part.needs():
                wanted.setdefault(need, set()).update(samples)
        return {need: sorted(samples) for need, samples in wanted.items()}

    def samples_by_view(self) -> dict[View, list[int]]:
        """For each differentiated view, the samples to which a part that reads it assigns nonzero weight."""
        wanted: dict[View, set[int]] = {}
        for need, samples in self.samples_by_need().items():
            if need.of == "policy":
                wanted.setdefault(need.view, set()).update(samples)
        return {view: sorted(samples) for view, samples in sorted(wanted.items(), key=lambda item: item[0].name)}


class Vectors(Protocol):
    """What credit reads: one vector over the trained tokens for each Need."""

    def read(self, needs: Iterable[Need], samples: range) -> Mapping[Need, Array]:
        """The vectors of consecutive samples of the batch."""
        ...


def split_batch(
    batch: Step,
    objective: Objective,
    vectors: Vectors,
    updates_per_batch: int,
    states: Sequence[Mapping[str, State]] = (),
) -> tuple[Minibatch, ...]:
    """Splits a batch into minibatches of whole groups and computes their credit, reading from `vectors`.

    `states` has, for each part, the states of its stateful components by slot ("advantage"; "" is the part itself); none
    if no component is stateful. Raises RunFailed if a part's credit fails, or is not one finite number for each trained
    token.
    """
    updates = batch.split(updates_per_batch)
    everything = range(len(batch.samples))
    parts = objective.parts()
    by_part = [
        _credits(part, Batch(batch, vectors.read(part.reads(), everything), inner.get("", {}), inner), updates)
        for part, inner in zip(parts, states or [{}] * len(parts), strict=True)
    ]
    bounds = pairwise(np.cumsum([0, *(len(update.samples) for update in updates)]).tolist())
    return tuple(
        Minibatch(
            index,
            update,
            range(first, end),
            tuple(PartCredit(part, credits[index]) for part, credits in zip(parts, by_part, strict=True)),
        )
        for index, (update, (first, end)) in enumerate(zip(updates, bounds, strict=True))
    )


def credit_check(minibatches: Sequence[Minibatch]) -> str:
    """A hash of all advantages and weights of a batch, as float64."""
    credits = [credit for minibatch in minibatches for _, credit in minibatch.credits]
    return sha256_start(b"".join(v.astype("<f8").tobytes() for c in credits for v in (c.advantage_N, c.weight_N)))


def credit_measures(minibatches: Sequence[Minibatch]) -> dict[str, float]:
    """The metrics that credit gives: the mean over the updates and parts of a step."""
    whole: dict[str, list[float]] = {}
    for minibatch in minibatches:
        for _, credit in minibatch.credits:
            for name, (total, count) in credit.measures.items():
                sums = whole.setdefault(name, [0.0, 0.0])
                sums[0] += total
                sums[1] += count
    return {name: total / count for name, (total, count) in whole.items() if count}


def samples_to_score(needs: Iterable[Need], minibatches: Sequence[Minibatch]) -> Mapping[Need, set[int]]:
    """For each of these Needs, the samples of the whole batch whose terms read it."""
    wanted: dict[Need, set[int]] = {need: set() for need in needs}
    for minibatch in minibatches:
        for need, samples in minibatch.samples_by_need().items():
            if need in wanted:
                wanted[need].update(minibatch.samples[s] for s in samples)
    return wanted


def _credits(part: Objective, batch: Batch, updates: Sequence[Step]) -> Sequence[Credit]:
    watched = Watched.of(part, Sizes(len(batch.step.samples), batch.step.tokens.num_tokens))
    with blames(part, "credit"):
        credits = list(watched.part.credits(batch, updates))
    if len(credits) != len(updates):
        raise RunFailed(
            f"{type(part).__name__}.credits returned {len(credits)} credits for {len(updates)} updates",
            hint=f"return one Credit for each update, in order ({defined_at(part, 'credits')})",
        )
    earned_N = _earned(watched, batch.step)
    return [
        _usable(part, credit, update, None if earned_N is None else (earned_N[0], earned_N[1][mine]))
        for credit, (mine, update, _) in zip(credits, batch.split(updates), strict=True)
    ]


def _earned(watched: Watched, step: Step) -> tuple[object, Array] | None:
    """The advantage in the part's slot, and what it has given each token of the batch [N]; None without one."""
    last = watched.last("advantage")
    if last is None:
        return None
    per_sample = cast(Any, last.component).per == "sample"
    return last.component, last.value[step.tokens.sample_N] if per_sample else last.value


def _usable(part: Objective, credit: Credit, update: Step, earned: tuple[object, Array] | None) -> Credit:
    """The credit of an update: one number for each token, finite where the token has weight; elsewhere an advantage that
    is not finite becomes 0. Raises RunFailed, in the name of the advantage in the part's slot where that gave it."""
    for name in ("advantage_N", "weight_N"):
        values = getattr(credit, name, None)
        require_numbers(part, "credit", values, update.tokens.num_tokens, "trained token", of=f" as {name}")
    place = partial(token_place, update)
    require_finite(part, "credit", credit.weight_N, place)
    if np.isfinite(credit.advantage_N).all():
        return credit
    weighted = credit.weight_N != 0
    if earned is not None:
        advantage, earned_N = earned
        require_finite(advantage, "advantage", np.where(weighted, earned_N, 0.0), place)
    advantage_N = np.where(weighted | np.isfinite(credit.advantage_N), credit.advantage_N, 0.0)
    require_finite(part, "credit", advantage_N, place)
    return replace(credit, advantage_N=advantage_N)
