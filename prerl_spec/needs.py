"""What an objective reads of a batch and returns for it: per-token vectors in a view, and each token's credit. No torch."""

import json
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from prerl_spec.text import Codec
from prerl_spec.types import Array, Attempt, Prompt, Segment, Step


class Layout(NamedTuple):
    """The tokens of an attempt that a view scores: the context before them, never empty, and the segments.

    The trained tokens of `segments` are those of the attempt, in order: every view yields a vector of the same N.
    Segments that are not trained (observations, hints) may differ between views. Positions count from the first id of
    `context`.
    """

    context: tuple[int, ...]
    segments: tuple[Segment, ...]


class View(Hashable, Protocol):
    """The context in which trained tokens are scored: a frozen, hashable value."""

    @property
    def name(self) -> str:
        """Its name in metrics and plans: `conditional`, `marginal`."""
        ...

    def lay(self, prompt: Prompt, attempt: Attempt, codec: Codec) -> Layout:
        """The tokens of an attempt that are scored, and the context before them. Pure; called once per attempt and step."""
        ...


class HasSettings(Protocol):
    """A component, as far as it can be told apart from another one."""

    def settings(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Teacher:
    """A frozen model beside the policy, which a slot (kind model) of the objective that reads it holds.

    Models of one class with equal settings are the same teacher and are loaded once. `name` is for plans and messages.
    """

    key: str
    name: str = field(compare=False)

    @classmethod
    def of(cls, model: HasSettings) -> "Teacher":
        """The teacher in a slot: `Need(Conditional(), Teacher.of(self.teacher))`."""
        settings, own = model.settings(), type(model)
        text = json.dumps([own.__module__, own.__qualname__, settings], sort_keys=True)
        name = settings.get("name")
        return cls(sha256(text.encode()).hexdigest()[:16], name if isinstance(name, str) else own.__name__)

    def __str__(self) -> str:
        return f"teacher {self.name}"


class Need(NamedTuple):
    """A vector [N] that an objective reads: log-probabilities, or entropies, of the trained tokens in one view.

    of: "policy" (with gradient); without gradient: "old" (the policy before the batch's first update), "reference",
    "sampler" (as recorded while sampling), a `Teacher`.
    """

    view: View
    of: Literal["policy", "old", "reference", "sampler"] | Teacher = "policy"
    entropy: bool = False


@dataclass(frozen=True)
class Credit:
    """The advantage and the loss weight of each trained token of an update; the same on every rank.

    `weight_N` is mask x coefficient / denominator: THE aggregation. A token with weight zero gets no gradient.
    `denominator` describes the divisor in words: "tokens of the step: 48112".
    """

    advantage_N: Array
    weight_N: Array
    denominator: str
    measures: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Metric -> a sum over tokens and their number: a step's metric is the mean over its updates and parts."""

    @classmethod
    def nothing(cls, num_tokens: int, denominator: str) -> "Credit":
        """Zero credit for every token: the update changes no parameter."""
        return cls(np.zeros(num_tokens), np.zeros(num_tokens), denominator)


State = Mapping[str, float | tuple[float, ...]]
"""The state of a component between steps: named numbers."""


def states_below(states: Mapping[str, State], slot: str) -> dict[str, State]:
    """The state of the component in a slot, at "", and of those in its own slots, by slot of that component."""
    return {
        name.removeprefix(slot).removeprefix("."): state
        for name, state in states.items()
        if not slot or f"{name}.".startswith(f"{slot}.")
    }


@dataclass(frozen=True)
class Batch:
    """The samples of a whole step, before they are split into updates.

    `known` holds exactly the vectors [N] of the component's `reads()`: a plain mapping, nothing is computed by reading
    it. `state` is the component's own, empty unless it is `Stateful`; `inner` are those of the components in its slots,
    by slot ("advantage", "selection[0]").
    """

    step: Step
    known: Mapping[Need, Array] = field(default_factory=dict)
    state: State = field(default_factory=dict)
    inner: Mapping[str, State] = field(default_factory=dict)

    def of_part(self, slot: str, reads: Iterable[Need]) -> "Batch":
        """The batch as the component in a slot sees it: its own state, and those of the components in its slots."""
        inner = states_below(self.inner, slot)
        return Batch(self.step, {need: self.known[need] for need in reads}, inner.get("", {}), inner)

    def split(self, updates: Sequence[Step]) -> Iterator[tuple[slice, Step, dict[Need, Array]]]:
        """For each update, in order: its range in N, its samples, and its part of the known vectors."""
        start = 0
        for update in updates:
            mine = slice(start, start + update.tokens.num_tokens)
            start = mine.stop
            yield mine, update, {need: vector[mine] for need, vector in self.known.items()}
