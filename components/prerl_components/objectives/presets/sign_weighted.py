"""Presets that weigh right and wrong samples apart, on log P(y|x): the decomposition of RLVR by sign."""

from collections.abc import Iterable, Mapping
from typing import ClassVar, Literal

from pydantic import Field

from prerl_components.advantages.confidence_weighted import ConfidenceWeighted
from prerl_components.advantages.signed import Signed
from prerl_components.objectives.point import Point
from prerl_components.objectives.presets.flat import ClippedPreset
from prerl_components.objectives.wiring_rules import settings_of_the_other_sign
from prerl_spec.sdk import Advantage, Conditional, Conflict, Wiring

_PAPER = "arXiv:2506.01347"
_DENOMINATOR = {
    "denominator": "only the tokens of trained samples count in the denominator; in the authors' code all samples' do"
}


class SignWeighted(ClippedPreset):
    """A = +1 for right samples and −1 for wrong ones, each sign with a weight of its own; no group is needed."""

    selects: ClassVar[Literal["both", "negative", "positive"]] = "both"

    @property
    def factors(self) -> tuple[float, float]:
        """The factors on positive and on negative advantages."""
        return (0.0 if self.selects == "negative" else 1.0, 0.0 if self.selects == "positive" else 1.0)

    def advantage_part(self) -> Advantage:
        """The advantage of the preset."""
        return Signed()

    def point(self) -> Point:
        positive, negative = self.factors
        return Point(
            view=Conditional(),
            advantage=self.advantage_part(),
            surrogate=self.clip,
            positive=positive,
            negative=negative,
            correction=self.correction,
            aggregation=self.aggregation,
            coefficient=self.coefficient,
            unparsable=self.unparsable,
        )

    def check(self, wiring: Wiring) -> Iterable[Conflict]:
        yield from super().check(wiring)
        instead = "use `w_reinforce`, which trains both signs"
        yield from settings_of_the_other_sign(wiring, self.selects, by_score=True, instead=instead)


class Nsr(SignWeighted):
    """Negative sample reinforcement: wrong samples only, all-wrong groups included."""

    formula: ClassVar[str] = "Σ_t 1[wrong] · max(ρ, 1−ε₋)/N₋"
    source: ClassVar[str] = f"NSR, {_PAPER}, §2, eqs 2–4; clip and token mean as in its authors' code"
    unlike: ClassVar[Mapping[str, str]] = _DENOMINATOR
    selects = "negative"


class Psr(SignWeighted):
    """Positive sample reinforcement: right samples only."""

    formula: ClassVar[str] = "Σ_t 1[right] · −min(ρ, 1+ε₊)/N₊"
    source: ClassVar[str] = f"PSR, {_PAPER}, §2, eqs 2–4; clip and token mean as in its authors' code"
    unlike: ClassVar[Mapping[str, str]] = _DENOMINATOR
    selects = "positive"


class WReinforce(SignWeighted):
    """Both signs, right samples at the weight `positive`: λ·L_PSR + L_NSR."""

    formula: ClassVar[str] = "Σ_t −min(ρA, clip(ρ, 1−ε₋, 1+ε₊)A)/N, A = +λ right, −1 wrong"
    source: ClassVar[str] = f"W-REINFORCE, {_PAPER}, §5, λ = 0.1"

    positive: float = Field(0.1, gt=0, description="λ: weight of right samples; wrong ones have 1")

    @property
    def factors(self) -> tuple[float, float]:
        return (self.positive, 1.0)


class CwNsr(SignWeighted):
    """NSR with wrong samples weighted by the confidence with which they were given."""

    formula: ClassVar[str] = "Σ_t 1[wrong] · c·max(ρ, 1−ε₋)/N₋, c = max(exp(mean_t log π_old), floor)"
    source: ClassVar[str] = "CW-NSR, arXiv:2605.07137; checked against its authors' code"
    unlike: ClassVar[Mapping[str, str]] = _DENOMINATOR
    selects = "negative"

    floor: float = Field(0.05, ge=0, le=1, description="least weight of a wrong sample")

    def advantage_part(self) -> Advantage:
        return ConfidenceWeighted(floor=self.floor)
