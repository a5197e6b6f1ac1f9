"""One scored run, or one folder of `eval`, as a comparison sees it."""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal, NamedTuple

from prerl_spec.evaluation.scores.question_results import QuestionResult
from prerl_spec.types import Score


class SeedKey(NamedTuple):
    """What two runs must share to be a pair: `run.seed`, and the seed of fresh weights (None where weights are loaded)."""

    seed: int
    model_seed: int | None

    def in_words(self, *, whole: bool) -> str:
        """`seed 3`; `whole`: `seed 3 with model.seed 0`."""
        more = f" with model.seed {self.model_seed}" if whole and self.model_seed is not None else ""
        return f"seed {self.seed}{more}"


class Amounts(NamedTuple):
    """What has been spent: `seconds` are those of steps, without evaluation."""

    generated_tokens: float = 0.0
    trained_tokens: float = 0.0
    steps: float = 0.0
    updates: float = 0.0
    seconds: float = 0.0

    def plus(self, other: "Amounts") -> "Amounts":
        return Amounts(*(own + more for own, more in zip(self, other, strict=True)))

    def minus(self, other: "Amounts") -> "Amounts":
        return Amounts(*(own - less for own, less in zip(self, other, strict=True)))


class Taken(NamedTuple):
    """A step of a run: what it took, and the hash of the weights after it (None in records without one)."""

    global_step: int
    amounts: Amounts
    weights: str | None


Questions = tuple[Mapping[str, Any], Sequence[QuestionResult]]
"""Conditions and results of the single questions behind a score."""


@dataclass(frozen=True)
class ScoredRun:
    """Scores with their places, and the steps that led there from the initial model on, those of the runs that it was
    started from included.

    `begins` says what these steps begin with: "" the initial model, else the start whose run is not here. `base` is what the
    run's own first phase begins with, in words. `questions_of` gives the results of the single questions behind a score, None
    where none were kept.
    """

    folder: Path
    name: str
    key: SeedKey
    base: str
    scores: tuple[Score, ...]
    base_content: str = ""
    """The hash of the start, where `base` is one: two spellings of a place may hold the same."""
    asked: tuple[str, ...] = ()
    """What its prompts and sample streams hang on: `run.streams`, and with "global" the phases with their steps."""
    steps: tuple[Taken, ...] = ()
    begins: str = ""
    trains: bool = True
    label: str = ""
    """Its seed in words, as far as it is needed to tell the runs of its arm apart."""
    questions_of: Callable[[Score], Questions | None] = field(default=lambda score: None, repr=False)

    @property
    def last_weights(self) -> str | None:
        return self.steps[-1].weights if self.steps else None

    @cached_property
    def _spent(self) -> tuple[list[int], list[Amounts]]:
        totals = list(accumulate((step.amounts for step in self.steps), Amounts.plus, initial=Amounts()))
        return [step.global_step for step in self.steps], totals

    def spent_at(self, global_step: int) -> Amounts:
        """What its steps had taken when this one was finished."""
        steps, totals = self._spent
        return totals[bisect_right(steps, global_step)]


Axis = Literal["generated_tokens", "updates", "seconds"]
AXES: tuple[Axis, ...] = ("generated_tokens", "updates", "seconds")
"""The axes over which the sign of a claim must agree."""
AXIS_WORDS: Mapping[str, str] = {
    "generated_tokens": "generated tokens",
    "trained_tokens": "trained tokens",
    "steps": "steps",
    "updates": "updates",
    "seconds": "seconds",
}


def parted_at(first: ScoredRun, second: ScoredRun) -> tuple[Amounts, Amounts] | None:
    """What each had spent when the two parted: at the last of their common first steps, after which both had the same weights.

    None where their steps do not begin with the same: what was spent before is not known.
    """
    if first.begins != second.begins:
        return None
    common = 0
    for own, other in zip(first.steps, second.steps, strict=False):
        if own.weights is None or own.weights != other.weights:
            break
        common += 1
    at = first.steps[common - 1].global_step if common else -1
    return first.spent_at(at), second.spent_at(at)
