"""Presets with rewards compared within the group, on log P(y|x): GRPO and its neighbours."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from prerl_components.advantages.batch_std import BatchStd
from prerl_components.advantages.group_mean import GroupMean
from prerl_components.advantages.group_std import GroupStd
from prerl_components.advantages.max_rl import MaxRl as MaxRlAdvantage
from prerl_components.objectives.aggregation import AGGREGATION_WORDS, Aggregation
from prerl_components.objectives.presets.flat import TRL_CORRECTS, TRL_STD, VERL_DUAL_CLIP, ClippedPreset
from prerl_spec.sdk import Advantage

_GROUP_STD = "(r − mean)/(std + 1e-6) over the scored attempts of a group, unbiased std"
_GROUP_MEAN = "r − mean over the scored attempts of a group"


class Grpo(ClippedPreset):
    """Policy gradient on log P(y|x) with A = (r − mean)/(std + 1e-6) of the prompt's group.

    DeepSeek's sequence mean is the default. For a KL penalty to a reference model, combine it with `kl` in a
    `weighted_sum`.
    """

    formula: ClassVar[str] = "mean_i mean_t −min(ρA, clip(ρ, 1−ε₋, 1+ε₊)A), A = (r − m)/(σ + 1e-6)"
    source: ClassVar[str] = "DeepSeekMath, arXiv:2402.03300, eq. 3"
    peers: ClassVar[Mapping[str, str]] = {"TRL": 'loss_type = "grpo"', "verl": "adv_estimator = grpo"}
    unlike: ClassVar[Mapping[str, str]] = {
        "aggregation": "aggregation is sequence_mean, the paper's; TRL 1.16 and verl 0.9.1 average over tokens by default",
        "advantage": TRL_STD,
        "dual_clip": VERL_DUAL_CLIP,
        "importance": TRL_CORRECTS,
        "kl": "no KL penalty, as in TRL 1.16 and verl 0.9.1 by default; the paper has one: add `kl` in a weighted_sum",
    }

    advantage: Literal["group_std"] = Field("group_std", description=_GROUP_STD)
    aggregation: Aggregation = Field("sequence_mean", description=AGGREGATION_WORDS)

    def advantage_part(self) -> Advantage:
        return GroupStd()


class DrGrpo(ClippedPreset):
    """GRPO without its two biases: no division by the group's std, and a constant denominator in place of the length."""

    formula: ClassVar[str] = "Σ_i Σ_t −min(ρA, clip(ρ, 1−ε₋, 1+ε₊)A)/(S·L), A = r − m, L = max_new_tokens"
    source: ClassVar[str] = "Dr. GRPO, arXiv:2503.20783, §3.2"
    peers: ClassVar[Mapping[str, str]] = {
        "TRL": 'loss_type = "dr_grpo", scale_rewards = "none"',
        "verl": 'norm_adv_by_std_in_grpo = False, loss_agg_mode = "seq-mean-token-sum-norm"',
    }
    unlike: ClassVar[Mapping[str, str]] = {
        "advantage": 'not divided by the group\'s std; TRL 1.16 does with loss_type = "dr_grpo", unless scale_rewards = "none"',
        "dual_clip": VERL_DUAL_CLIP,
        "importance": TRL_CORRECTS,
    }

    advantage: Literal["group_mean"] = Field("group_mean", description=_GROUP_MEAN)
    aggregation: Aggregation = Field("constant", description=AGGREGATION_WORDS)

    def advantage_part(self) -> Advantage:
        return GroupMean()


class Dapo(ClippedPreset):
    """GRPO with a token mean over the update and a higher upper clip.

    The rest of DAPO is other components: `mixed_groups` with refill_rounds, `overlong_penalty`, unparsable = "mask":
    `prerl-spec new FILE --template dapo` writes them.
    """

    formula: ClassVar[str] = "Σ_i Σ_t −min(ρA, clip(ρ, 1−0.2, 1+0.28)A)/N, A = (r − m)/(σ + 1e-6)"
    source: ClassVar[str] = "DAPO, arXiv:2503.14476, eq. 8"
    peers: ClassVar[Mapping[str, str]] = {"TRL": 'loss_type = "dapo", epsilon_high = 0.28', "verl": "recipe dapo"}
    unlike: ClassVar[Mapping[str, str]] = {
        "clip_high": "clip_high is 0.28, the paper's; TRL 1.16 and verl 0.9.1 have 0.2 unless it is set",
        "advantage": TRL_STD,
        "dual_clip": VERL_DUAL_CLIP,
        "importance": TRL_CORRECTS,
    }

    advantage: Literal["group_std"] = Field("group_std", description=_GROUP_STD)
    clip_high: float = Field(0.28, ge=0, description="upper clip ε₊: for A > 0, ratios above 1 + ε₊ get no gradient")

    def advantage_part(self) -> Advantage:
        return GroupStd()


class LitePpo(ClippedPreset):
    """GRPO with the std of the batch's rewards in place of the group's, and a token mean over the update."""

    formula: ClassVar[str] = "Σ_i Σ_t −min(ρA, clip(ρ, 1−ε₋, 1+ε₊)A)/N, A = (r − m)/(σ_batch + 1e-6)"
    source: ClassVar[str] = "Lite PPO, arXiv:2508.08221 v3, §5"

    def advantage_part(self) -> Advantage:
        return BatchStd()


class MaxRl(ClippedPreset):
    """Maximum likelihood in place of expected reward: hard groups weigh more, by 1/m; for 0/1 rewards."""

    formula: ClassVar[str] = "Σ_i Σ_t −min(ρA, clip(ρ, 1−ε₋, 1+ε₊)A)/N, A = (r − m)/m, 0 where m ≤ 0"
    source: ClassVar[str] = "MaxRL, arXiv:2602.02710 v3, Algorithm 1; clip and token mean as in its authors' runs"
    peers: ClassVar[Mapping[str, str]] = {"SkyRL": "advantage_estimator = maxrl"}

    def advantage_part(self) -> Advantage:
        return MaxRlAdvantage()
