"""One scored run, or one folder of `eval`, as a comparison sees it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from prerl_spec.evaluation.scores.question_results import QuestionResult
from prerl_spec.types import Score, StepRecord


class SeedKey(NamedTuple):
    """What two runs must share to be a pair: `run.seed`, and the seed of fresh weights (None where weights are loaded)."""

    seed: int
    model_seed: int | None

    def in_words(self) -> str:
        """`seed 3`, or `seed 3 with model.seed 0` where the two are apart."""
        apart = self.model_seed is not None and self.model_seed != self.seed
        return f"seed {self.seed} with model.seed {self.model_seed}" if apart else f"seed {self.seed}"


class Amounts(NamedTuple):
    """What has been spent up to a place of a run: `seconds` are those of its steps, without evaluation."""

    generated_tokens: float
    trained_tokens: float
    steps: float
    updates: float
    seconds: float


@dataclass(frozen=True)
class ScoredRun:
    """Scores with their places, what was spent until each, and the results of single questions.

    `earlier` is what was spent before the run's own first step: None where the run that it started from is not here.
    `questions_of` gives the results of the single questions behind a score, None where none were kept.
    """

    folder: Path
    name: str
    key: SeedKey
    base: str
    scores: tuple[Score, ...]
    steps: tuple[StepRecord, ...] = ()
    trains: bool = True
    digest: str = ""
    weights: str | None = None
    earlier: Amounts | None = Amounts(0, 0, 0, 0, 0)
    questions_of: Callable[[Score], Sequence[QuestionResult] | None] = field(default=lambda score: None, repr=False)

    def amounts_at(self, score: Score) -> Mapping[str, float | None]:
        """Axis -> what had been spent when this score was taken; None where it is not known."""
        before = self.earlier
        own = [step for step in self.steps if step.global_step <= score.global_step]
        counted = {
            "updates": sum(step.applied for step in own),
            "steps": len(own),
            "seconds": sum(step.seconds.get("total", 0.0) for step in own),
        }
        known = {axis: None if before is None else getattr(before, axis) + value for axis, value in counted.items()}
        return {"generated_tokens": score.generated_tokens, "trained_tokens": score.trained_tokens, **known}


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
