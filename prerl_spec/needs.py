"""What an objective says of a batch: the vectors that it needs, in which view, and what each token earns. No torch here."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np

from prerl_spec.text import Codec
from prerl_spec.types import Array, Attempt, Prompt, Segment


class Layout(NamedTuple):
    """An attempt as a view has it scored: the token ids in front of it, never empty, and its segments.

    The trained tokens of `segments` are those of the attempt, in order: every view yields a vector of the same N.
    Segments that are not trained (observations, hints) may differ from view to view. Positions count from the first id of
    `context`.
    """

    context: tuple[int, ...]
    segments: tuple[Segment, ...]


class View(Hashable, Protocol):
    """What stands around the trained tokens when they are scored: a frozen, hashable value."""

    @property
    def name(self) -> str:
        """A word for metrics and plans: `conditional`, `marginal`."""
        ...

    def lay(self, prompt: Prompt, attempt: Attempt, codec: Codec) -> Layout:
        """What is scored of an attempt at a prompt, and behind which tokens. Pure: asked once an attempt and step."""
        ...


class Need(NamedTuple):
    """A vector [N] that an objective asks for: log-probabilities, or entropies, of the trained tokens in one view.

    of: "policy" (with gradient), or without one: "old" (the policy before the batch's first update), "reference",
    "sampler" (as drawn).
    """

    view: View
    of: Literal["policy", "old", "reference", "sampler"] = "policy"
    entropy: bool = False


@dataclass(frozen=True)
class Credit:
    """What each trained token of an update earns and how much it counts; the same on every rank.

    `weight_N` is mask x coefficient / denominator: THE aggregation. A zero weight means that no gradient is wanted.
    `denominator` names the divisor for people: "tokens of the step: 48112".
    """

    advantage_N: Array
    weight_N: Array
    denominator: str

    @classmethod
    def nothing(cls, num_tokens: int, denominator: str) -> "Credit":
        """No token of the update counts: the step will move no weight."""
        return cls(np.zeros(num_tokens), np.zeros(num_tokens), denominator)
