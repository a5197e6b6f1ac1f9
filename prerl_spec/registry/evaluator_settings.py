"""The settings that every evaluator has: when it scores, and how it draws responses."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from prerl_spec.codes import Code
from prerl_spec.registry.component import Component, Conflict, Place, Wiring
from prerl_spec.registry.kinds import EvaluationSite, Verifier
from prerl_spec.types import Draw

Moment = Literal["base", "phases", "end"]
AtLeastOne = Annotated[int, Field(ge=1)]


class EvaluatorSettings(Component):
    """The part of an evaluator that does not depend on what is scored. Subclass it with `score(site)`."""

    kind: ClassVar[Literal["evaluator"]] = "evaluator"

    at: tuple[Moment, ...] = Field(
        default=("base", "phases"),
        description="Score the model as given (base), at the end of each phase (phases), at the end of the run (end).",
    )
    every: Literal["off"] | AtLeastOne = Field(default="off", description="Score also after every so many steps.")
    samples: int = Field(default=1, ge=1, description="Responses drawn for each question: the k of avg@k and pass@k.")
    temperature: float | None = Field(default=None, ge=0, description="Unwritten: the sampler's. 0 is greedy.")
    top_p: float | None = Field(default=None, gt=0, le=1, description="Unwritten: the sampler's. 1.0 is off.")
    max_new_tokens: int | None = Field(default=None, ge=1, description="Unwritten: the sampler's.")
    limit: Literal["off"] | AtLeastOne = Field(default="off", description="Only the first so many questions.")
    seed: int | None = Field(default=None, ge=0, description="Seed of the responses. Unwritten: run.seed.")

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
        """The verifier that the evaluator brings; None: that of the data set or the phase."""
        return None

    def data_sets(self) -> tuple[str, ...]:
        """Data sets of the spec whose rows are scored."""
        return ()

    def count_questions(self) -> int | None:
        """Questions of a round beside those of `data_sets()`; None where only reading them tells. No torch."""
        return None

    def prepare(self) -> None:
        """Nothing to find out before the first score."""

    def draw(self, site: EvaluationSite) -> Draw:
        """How responses are drawn here: the site's decoding and seed, with what is written in place of them."""
        written = {name: getattr(self, name) for name in ("temperature", "top_p", "max_new_tokens")}
        return Draw(
            decoding=replace(site.decoding, **{name: value for name, value in written.items() if value is not None}),
            samples=self.samples,
            seed=site.seed if self.seed is None else self.seed,
            limit=None if self.limit == "off" else self.limit,
        )
