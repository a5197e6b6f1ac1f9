"""The settings that presets share: flat and closed, each preset takes only those that its parts read."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from prerl_components.corrections.mask import Mask
from prerl_components.corrections.truncate import Truncate
from prerl_components.objectives.aggregation import AGGREGATION_WORDS, Aggregation
from prerl_components.objectives.gradient_objective import GradientObjective
from prerl_components.objectives.other_words import OF_CLIPPED, OF_PRESETS
from prerl_components.objectives.point import Point, Unparsable
from prerl_components.objectives.wiring_rules import importance_cap_without_effect
from prerl_components.surrogates.clip import Clip
from prerl_spec.sdk import Advantage, Coefficient, Conditional, Conflict, Correction, Surrogate, Wiring

CLIP_LOW_WORDS = "PPO lower clip ε₋: for A < 0, ratios below 1 − ε₋ get no gradient"
CLIP_HIGH_WORDS = "PPO upper clip ε₊: for A > 0, ratios above 1 + ε₊ get no gradient"
DUAL_CLIP_WORDS = "dual clip c: for A < 0, the loss is at most −A·c"
TRL_STD = "1e-6 is added to the group's std, as in verl; TRL 1.16 adds 1e-4"
TRL_CORRECTS = (
    "importance is off; TRL 1.16 corrects by default where vLLM samples: all of a response weighs its π/π_sampler, and 0 "
    "where that exceeds 3"
)
VERL_DUAL_CLIP = "dual_clip is off, verl 0.9.1 has 3"
DualClip = Literal["off"] | Annotated[float, Field(gt=1)]


class Flat(GradientObjective):
    """A named point of the product, with the coefficient, aggregation and sampler correction as settings."""

    hints: ClassVar[Mapping[str, str]] = OF_PRESETS

    coefficient: Coefficient = Field(1.0, description="factor of this objective's loss: a number, or a ramp")
    aggregation: Aggregation = Field("token_mean", description=AGGREGATION_WORDS)
    importance: Literal["off", "truncate", "mask"] = Field(
        "off",
        description="importance weights π/π_sampler per token, correcting the gap between sampler and trainer: "
        "truncate caps them at importance_cap, mask sets those above it to 0",
    )
    importance_cap: float = Field(2.0, gt=0, description="maximum importance weight C")

    @abstractmethod
    def advantage_part(self) -> Advantage:
        """The advantage of the preset."""

    @abstractmethod
    def surrogate_part(self) -> Surrogate:
        """The surrogate that the preset's settings make."""

    def point(self) -> Point:
        """On log P(y|x), with the preset's parts; a preset elsewhere replaces what differs."""
        return Point(
            view=Conditional(),
            advantage=self.advantage_part(),
            surrogate=self.surrogate_part(),
            correction=self.correction,
            aggregation=self.aggregation,
            coefficient=self.coefficient,
        )

    @property
    def correction(self) -> Correction | None:
        """The correction that `importance` names."""
        if self.importance == "off":
            return None
        named = Truncate if self.importance == "truncate" else Mask
        return named(cap=self.importance_cap)

    def setting_behind(self, fact: str) -> str:
        return "importance" if fact == "sampler_logprobs" else "use"

    def check(self, wiring: Wiring) -> Iterable[Conflict]:
        yield from super().check(wiring)
        yield from importance_cap_without_effect(wiring, self.importance != "off")


class Preset(Flat):
    """One that can train wrong samples."""

    unparsable: Unparsable = Field(
        "wrong",
        description="train a response without a parsable answer as wrong, or mask it: zero weight, but it still "
        "counts in its group's mean",
    )

    def point(self) -> Point:
        return replace(super().point(), unparsable=self.unparsable)


class ClippedPreset(Preset):
    """A preset on PPO's clipped surrogate."""

    hints: ClassVar[Mapping[str, str]] = OF_CLIPPED
    ratio_settings: ClassVar[tuple[str, ...]] = ("clip_low", "clip_high", "dual_clip")

    clip_low: float = Field(0.2, ge=0, description=CLIP_LOW_WORDS)
    clip_high: float = Field(0.2, ge=0, description=CLIP_HIGH_WORDS)
    dual_clip: DualClip = Field("off", description=DUAL_CLIP_WORDS)

    def surrogate_part(self) -> Surrogate:
        return Clip(clip_low=self.clip_low, clip_high=self.clip_high, dual_clip=self.dual_clip)
