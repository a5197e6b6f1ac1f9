"""The minibatch of one update: its samples, and the credit (advantages and weights) of each part of the objective."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

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


def samples_to_score(needs: Iterable[Need], minibatches: Sequence[Minibatch]) -> Mapping[Need, set[int]]:
    """For each of these Needs, the samples of the whole batch whose terms read it."""
    wanted: dict[Need, set[int]] = {need: set() for need in needs}
    for minibatch in minibatches:
        for need, samples in minibatch.samples_by_need().items():
            if need in wanted:
                wanted[need].update(minibatch.samples[s] for s in samples)
    return wanted


def _credits(part: Objective, batch: Batch, updates: Sequence[Step]) -> Sequence[Credit]:
    name = type(part).__name__
    try:
        credits = part.credits(batch, updates)
    except KeyError as error:
        need = error.args[0] if error.args else None
        if not isinstance(need, Need):
            raise
        raise RunFailed(
            f"{name}.credit reads the `{need.of}` vector of the view `{need.view.name}`, which its `reads()` does not name",
            hint="add this Need to the objective's `reads()`",
        ) from error
    if len(credits) != len(updates):
        raise RunFailed(
            f"{name}.credits returned {len(credits)} credits for {len(updates)} updates",
            hint="return one Credit for each update, in order",
        )
    for credit, update in zip(credits, updates, strict=True):
        size = update.tokens.num_tokens
        shapes = (credit.advantage_N.shape, credit.weight_N.shape)
        if shapes != ((size,), (size,)) or not np.isfinite([credit.advantage_N, credit.weight_N]).all():
            raise RunFailed(
                f"{name}.credit returned shapes {shapes} or values that are not finite; both must be [{size}], one "
                "finite number for each trained token",
                hint="fix the objective's `credit`",
            )
    return credits
