"""Settings common to all evaluators: when they score, and how they sample responses."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from prerl_spec.codes import Code
from prerl_spec.registry.component import Component, Conflict, Place, Wiring
from prerl_spec.registry.kinds.evaluator import EvaluationSite, TaskDraw
from prerl_spec.registry.kinds.judging import Verifier
from prerl_spec.types import Decoding, Draw

Moment = Literal["base", "phases", "end"]
AtLeastOne = Annotated[int, Field(ge=1)]


class EvaluatorSettings(Component):
    """Base class of evaluators, independent of what is scored. Subclasses implement `score(site)`."""

    kind: ClassVar[Literal["evaluator"]] = "evaluator"
    hints: ClassVar[Mapping[str, str]] = {"group_size": "an evaluator's number of responses to a question is `samples`"}

    at: tuple[Moment, ...] = Field(
        default=("base", "phases"),
        description="Score the model as given (base), at the end of each phase (phases), at the end of the run (end).",
    )
    every: Literal["off"] | AtLeastOne = Field(default="off", description="Also score every this many steps.")
    samples: int = Field(default=1, ge=1, description="Responses per question: the k of avg@k and pass@k.")
    temperature: float | None = Field(default=None, ge=0, description="Default: the sampler's. 0 is greedy.")
    top_p: float | None = Field(default=None, gt=0, le=1, description="Default: the sampler's. 1.0 is off.")
    max_new_tokens: int | None = Field(default=None, ge=1, description="Default: the sampler's.")
    limit: Literal["off"] | AtLeastOne = Field(default="off", description="Score only the first this many questions.")
    seed: int | None = Field(default=None, ge=0, description="Seed of the responses. Default: run.seed.")

    def check(self, wiring: Wiring) -> Iterable[Conflict]:
        if not self.at and self.every == "off":
            yield Conflict(
                Code.CONTRADICTION, "this evaluator never scores", (Place("self", "at"), Place("self", "every"))
            )
        if self.temperature == 0 and self.samples > 1:
            yield Conflict(
                Code.NO_EFFECT,
                "`samples` has no effect at temperature 0: all responses to a question are equal",
                (Place("self", "samples"), Place("self", "temperature")),
            )

    @property
    def own_verifier(self) -> Verifier | None:
        """The evaluator's own verifier; None: that of the data set or the phase."""
        return None

    def data_sets(self) -> tuple[str, ...]:
        """Data sets of the spec whose rows are scored."""
        return ()

    def count_questions(self) -> int | None:
        """Number of questions besides those of `data_sets()`; None if it is known only after reading them. No torch."""
        return None

    def metrics_by_task(self) -> Mapping[str, tuple[str, ...] | None] | None:
        """The tasks that it scores, each with its metrics, as `task/metric` names them; None in place of metrics that only
        scoring tells, and None for all where tasks are as unknown. No torch."""
        return None

    def share_metrics(self) -> tuple[str, ...]:
        """The metrics of a task whose responses are right or wrong."""
        return f"avg@{self.samples}", f"pass@{self.samples}"

    def task_draws(self, base: Decoding) -> tuple[TaskDraw, ...]:
        """How each task is sampled by a sampler of this decoding, as far as it is known before anything is loaded. No
        torch."""
        return tuple(TaskDraw(name, self.decoding(base), self.samples) for name in self.data_sets())

    def prepare(self) -> None:
        """Nothing to check before the first score."""

    def decoding(self, base: Decoding) -> Decoding:
        """A sampler's decoding with the written settings."""
        written = {name: getattr(self, name) for name in ("temperature", "top_p", "max_new_tokens")}
        return replace(base, **{name: value for name, value in written.items() if value is not None})

    def draw(self, site: EvaluationSite) -> Draw:
        """How responses are sampled: the site's decoding and seed, overridden by the written settings."""
        return Draw(
            decoding=self.decoding(site.decoding),
            samples=self.samples,
            seed=site.seed if self.seed is None else self.seed,
            limit=None if self.limit == "off" else self.limit,
        )
