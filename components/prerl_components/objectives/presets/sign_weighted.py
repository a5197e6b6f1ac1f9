"""Presets that weigh right and wrong samples apart, on log P(y|x): the decomposition of RLVR by sign.

A = +1 for right samples and −1 for wrong ones, so that no group is needed. Each takes only what can act on its signs.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from pydantic import Field

from prerl_components.advantages.confidence_weighted import ConfidenceWeighted
from prerl_components.advantages.signed import Signed
from prerl_components.objectives.other_words import OF_CLIPPED
from prerl_components.objectives.point import Point
from prerl_components.objectives.presets.flat import (
    CLIP_HIGH_WORDS,
    CLIP_LOW_WORDS,
    DUAL_CLIP_WORDS,
    ClippedPreset,
    DualClip,
    Flat,
    Preset,
)
from prerl_components.surrogates.clip import Clip
from prerl_spec.sdk import Advantage, Surrogate

_PAPER = "arXiv:2506.01347"
_DENOMINATOR = {
    "denominator": "only the tokens of trained samples count in the denominator; in the authors' code all samples' do"
}


class WrongOnly(Preset):
    """A < 0 only, on PPO's clip: max(ρ, 1−ε₋)·|A|, at most c·|A|. An upper clip would never act."""

    hints: ClassVar[Mapping[str, str]] = {
        **OF_CLIPPED,
        **dict.fromkeys(("clip_high", "epsilon_high", "clip_ratio_high"), "an upper clip never acts where A < 0"),
    }
    ratio_settings: ClassVar[tuple[str, ...]] = ("clip_low", "dual_clip")

    clip_low: float = Field(0.2, ge=0, description=CLIP_LOW_WORDS)
    dual_clip: DualClip = Field("off", description=DUAL_CLIP_WORDS)

    def advantage_part(self) -> Advantage:
        return Signed()

    def surrogate_part(self) -> Surrogate:
        return Clip(clip_low=self.clip_low, dual_clip=self.dual_clip)

    def point(self) -> Point:
        return replace(super().point(), positive=0.0)


class Nsr(WrongOnly):
    """Negative sample reinforcement: wrong samples only, all-wrong groups included."""

    formula: ClassVar[str] = "Σ_t 1[wrong] · max(ρ, 1−ε₋)/N₋"
    source: ClassVar[str] = f"NSR, {_PAPER}, §2, eqs 2–4; clip and token mean as in its authors' code"
    unlike: ClassVar[Mapping[str, str]] = _DENOMINATOR


class CwNsr(WrongOnly):
    """NSR with wrong samples weighted by the confidence with which they were given."""

    formula: ClassVar[str] = "Σ_t 1[wrong] · c·max(ρ, 1−ε₋)/N₋, c = max(exp(mean_t log π_old), floor)"
    source: ClassVar[str] = "CW-NSR, arXiv:2605.07137; checked against its authors' code"
    unlike: ClassVar[Mapping[str, str]] = _DENOMINATOR

    floor: float = Field(0.05, ge=0, le=1, description="least weight of a wrong sample")

    def advantage_part(self) -> Advantage:
        return ConfidenceWeighted(floor=self.floor)


class Psr(Flat):
    """Positive sample reinforcement: right samples only. A lower or a dual clip would never act."""

    formula: ClassVar[str] = "Σ_t 1[right] · −min(ρ, 1+ε₊)/N₊"
    source: ClassVar[str] = f"PSR, {_PAPER}, §2, eqs 2–4; clip and token mean as in its authors' code"
    unlike: ClassVar[Mapping[str, str]] = _DENOMINATOR
    hints: ClassVar[Mapping[str, str]] = {
        **OF_CLIPPED,
        **dict.fromkeys(
            ("clip_low", "dual_clip", "clip_ratio_low", "clip_ratio_c", "delta"),
            "a lower or a dual clip never acts where A > 0",
        ),
    }
    ratio_settings: ClassVar[tuple[str, ...]] = ("clip_high",)

    clip_high: float = Field(0.2, ge=0, description=CLIP_HIGH_WORDS)

    def advantage_part(self) -> Advantage:
        return Signed()

    def surrogate_part(self) -> Surrogate:
        return Clip(clip_high=self.clip_high)

    def point(self) -> Point:
        return replace(super().point(), negative=0.0)


class WReinforce(ClippedPreset):
    """Both signs, right samples at the weight `positive`: λ·L_PSR + L_NSR."""

    formula: ClassVar[str] = "Σ_t −min(ρA, clip(ρ, 1−ε₋, 1+ε₊)A)/N, A = +λ right, −1 wrong"
    source: ClassVar[str] = f"W-REINFORCE, {_PAPER}, §5, λ = 0.1"

    positive: float = Field(0.1, gt=0, description="λ: weight of right samples; wrong ones have 1")

    def advantage_part(self) -> Advantage:
        return Signed()

    def point(self) -> Point:
        return replace(super().point(), positive=self.positive)
