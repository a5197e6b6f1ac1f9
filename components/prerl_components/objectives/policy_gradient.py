"""`policy_gradient`: every part of the product is a component that the spec names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from prerl_components.objectives.aggregation import AGGREGATION_WORDS, Aggregation
from prerl_components.objectives.gradient_objective import GradientObjective
from prerl_components.objectives.other_words import OF_PARTS
from prerl_components.objectives.point import Point, Unparsable
from prerl_components.surrogates.clip import Clip
from prerl_spec.sdk import Code, Coefficient, Component, Conditional, Conflict, Place, Slot, Wiring


class PolicyGradient(GradientObjective):
    """Policy gradient from parts: any advantage, selection, surrogate and correction, in any view.

    The other policy-gradient objectives are points of this product: `components show grpo` prints the point.
    """

    formula: ClassVar[str] = "Σ_t coefficient · mask_t/denominator · correction_t · surrogate(log π, log π_old, A_t)"
    hints: ClassVar[Mapping[str, str]] = OF_PARTS

    view: Annotated[Component, Slot("view", default="conditional")] = Field(
        default_factory=Conditional, description="what the response is scored behind"
    )
    advantage: Annotated[Component, Slot("advantage")] = Field(
        description="what a sample has earned, computed once a step", examples=["group_std"]
    )
    positive: float = Field(
        1.0, ge=0, description="factor on positive advantages; 0 trains and counts samples of negative advantage only"
    )
    negative: float = Field(
        1.0, ge=0, description="factor on negative advantages; 0 trains and counts samples of positive advantage only"
    )
    selection: Annotated[tuple[Component, ...], Slot("selection", many=True)] = Field(
        (), description="which tokens keep their weight: those that every selection keeps"
    )
    surrogate: Annotated[Component, Slot("surrogate", default="clip")] = Field(
        default_factory=Clip, description="the per-token loss"
    )
    correction: Literal["off"] | Annotated[Component, Slot("correction")] = Field(
        "off", description="stop-gradient weights against the gap between trainer and sampler"
    )
    aggregation: Aggregation = Field("token_mean", description=AGGREGATION_WORDS)
    coefficient: Coefficient = Field(1.0, description="factor of this objective's loss: a number, or a ramp")
    unparsable: Unparsable = Field(
        "wrong",
        description="train a response without a parsable answer as wrong, or mask it: zero weight, but it still "
        "counts in its group's mean",
    )

    def point(self) -> Point:
        parts: Any = self
        return Point(
            view=parts.view,
            advantage=parts.advantage,
            surrogate=parts.surrogate,
            positive=self.positive,
            negative=self.negative,
            selection=parts.selection,
            correction=None if self.correction == "off" else parts.correction,
            aggregation=self.aggregation,
            coefficient=self.coefficient,
            unparsable=self.unparsable,
        )

    def setting_behind(self, fact: str) -> str:
        return {"min_group": "advantage", "sampler_logprobs": "correction"}.get(fact, "use")

    def check(self, wiring: Wiring) -> Iterable[Conflict]:
        yield from super().check(wiring)
        if self.positive == 0 and self.negative == 0:
            yield Conflict(
                Code.CONTRADICTION,
                "positive = 0 and negative = 0 leave no sample to train on",
                (Place("self", "positive"), Place("self", "negative")),
                help="set one of them above 0",
            )
        yield from self._signs(wiring)

    def _signs(self, wiring: Wiring) -> Iterable[Conflict]:
        """Parts that the choice of signs leaves without effect, or without a sample."""
        parts: Any = self
        only = "negative" if self.positive == 0 else "positive" if self.negative == 0 else None
        if only is None or (self.positive == 0 and self.negative == 0):
            return
        off = "positive" if only == "negative" else "negative"
        if parts.advantage.sign == off and not wiring.has_rewards:
            yield Conflict(
                Code.CONTRADICTION,
                f"the advantage is never {only} and {off} = 0: no sample is left to train on",
                (Place("self", "advantage"), Place("self", off)),
                help=f"set {off} above 0, or use an advantage of both signs",
            )
        idle = {"negative": ("clip_high",), "positive": ("clip_low", "dual_clip")}[only]
        for setting in idle if wiring.updates_per_batch > 1 and isinstance(self.surrogate, Clip) else ():
            if setting in self.surrogate.model_fields_set:
                yield Conflict(
                    Code.NO_EFFECT,
                    f"`{setting}` has no effect: only samples with {only} advantage are trained",
                    (Place("self", f"surrogate.{setting}"),),
                    help=f"remove {setting}",
                )
