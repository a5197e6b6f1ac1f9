"""Presets on PPO's clipped surrogate without a critic, whose advantage does not compare the attempts of a group."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from prerl_components.advantages.batch_whitened import BatchWhitened
from prerl_components.advantages.reward import Reward as RewardAdvantage
from prerl_components.objectives.presets.flat import VERL_DUAL_CLIP, ClippedPreset
from prerl_spec.sdk import Advantage


class PpoClip(ClippedPreset):
    """PPO's clip with the reward itself as the advantage of every token: no critic, no baseline."""

    formula: ClassVar[str] = "Σ_i Σ_t −min(ρr, clip(ρ, 1−ε₋, 1+ε₊)r)/N"
    source: ClassVar[str] = "PPO, arXiv:1707.06347, eq. 7"
    unlike: ClassVar[Mapping[str, str]] = {
        "advantage": "the advantage of a token is the response's reward; PPO, and TRL's and verl's, learn a critic for it",
        "dual_clip": VERL_DUAL_CLIP,
    }

    def advantage_part(self) -> Advantage:
        return RewardAdvantage()


class ReinforcePp(ClippedPreset):
    """PPO's clip with rewards whitened over the step's tokens; `baseline = true` subtracts the group's mean first.

    For the paper's KL penalty combine it with `kl` in a `weighted_sum`.
    """

    formula: ClassVar[str] = "Σ_i Σ_t −min(ρA, clip(ρ, 1−ε₋, 1+ε₊)A)/N, A = (x − mean)/(std + 1e-6), x = r or r − m"
    source: ClassVar[str] = "REINFORCE++, arXiv:2501.03262 v9, eqs 1, 5–7; token mean as in OpenRLHF"
    peers: ClassVar[Mapping[str, str]] = {
        "OpenRLHF": "reinforce, reinforce_baseline",
        "verl": "adv_estimator = reinforce_plus_plus, reinforce_plus_plus_baseline",
    }
    unlike: ClassVar[Mapping[str, str]] = {
        "kl": "no KL penalty; the paper takes one off the reward of each token",
        "dual_clip": VERL_DUAL_CLIP,
    }

    baseline: bool = Field(
        False, description="subtract the group's mean reward first: REINFORCE++-baseline, which needs a group"
    )

    def advantage_part(self) -> Advantage:
        return BatchWhitened(baseline=self.baseline)

    def setting_behind(self, fact: str) -> str:
        return "baseline" if fact == "min_group" else super().setting_behind(fact)
