"""Presets without a ratio: REINFORCE, and what differs from it by the advantage alone."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from prerl_components.advantages.leave_one_out import LeaveOneOut
from prerl_components.advantages.length_weighted import LengthWeighted
from prerl_components.advantages.nonzero_scaled import NonzeroScaled
from prerl_components.advantages.reward import Reward as RewardAdvantage
from prerl_components.objectives.aggregation import AGGREGATION_WORDS, Aggregation
from prerl_components.objectives.other_words import without_ratio
from prerl_components.objectives.presets.flat import Preset
from prerl_components.surrogates.plain import Plain
from prerl_spec.sdk import Advantage, Surrogate


class WithoutRatio(Preset):
    """−A log π(y|x): with several updates a batch, the later ones train on samples of an older policy, uncorrected."""

    def surrogate_part(self) -> Surrogate:
        return Plain()


class Reinforce(WithoutRatio):
    """The reward times the log-probability of the whole response, without a baseline."""

    formula: ClassVar[str] = "Σ_i Σ_t −r·log π/(S·L), L = max_new_tokens"
    hints: ClassVar[Mapping[str, str]] = without_ratio("reward")
    source: ClassVar[str] = "REINFORCE, Williams 1992"
    peers: ClassVar[Mapping[str, str]] = {"OpenRLHF": "reinforce, which whitens over the batch (here `reinforce_pp`)"}

    aggregation: Aggregation = Field("constant", description=AGGREGATION_WORDS)

    def advantage_part(self) -> Advantage:
        return RewardAdvantage()


class Rloo(WithoutRatio):
    """REINFORCE with the mean reward of the group's other attempts as the baseline."""

    formula: ClassVar[str] = "Σ_i Σ_t −A·log π/(S·L), A = r_i − mean_{j≠i} r_j, L = max_new_tokens"
    hints: ClassVar[Mapping[str, str]] = without_ratio("leave_one_out")
    source: ClassVar[str] = "RLOO, arXiv:2402.14740"
    peers: ClassVar[Mapping[str, str]] = {"TRL": "RLOOTrainer", "verl": "adv_estimator = rloo"}
    unlike: ClassVar[Mapping[str, str]] = {
        "surrogate": "no ratio, as in the paper; TRL 1.16 clips the ratio of the whole response, verl 0.9.1 that of each token",
        "aggregation": "aggregation is constant, a response's tokens summed, as in the paper; verl 0.9.1 averages over tokens",
        "kl": "no KL penalty; TRL 1.16 takes 0.05·KL off the reward",
    }

    aggregation: Aggregation = Field("constant", description=AGGREGATION_WORDS)

    def advantage_part(self) -> Advantage:
        return LeaveOneOut()


class Gpg(WithoutRatio):
    """REINFORCE with the group's mean as the baseline, scaled up for the samples of groups without a signal.

    The paper also refills a batch until 0.6 of it has a signal: `mixed_groups` with refill_rounds.
    """

    formula: ClassVar[str] = "Σ_i Σ_t −α·(r − m)·log π/N, α = samples / samples in groups with signal"
    hints: ClassVar[Mapping[str, str]] = without_ratio("nonzero_scaled")
    source: ClassVar[str] = "GPG, arXiv:2504.02546 v4, eqs 5–8"
    peers: ClassVar[Mapping[str, str]] = {"verl": "adv_estimator = gpg, loss_mode = gpg"}
    unlike: ClassVar[Mapping[str, str]] = {
        "advantage": "α is samples / samples in groups with signal, the paper's; verl 0.9.1 has samples / those of reward ≠ 0",
    }

    def advantage_part(self) -> Advantage:
        return NonzeroScaled()


class Opo(WithoutRatio):
    """REINFORCE with the group's mean weighted by length as the baseline; meant for one update per batch."""

    formula: ClassVar[str] = "Σ_i Σ_t −(r − Σ l·r/Σ l)·log π/N"
    hints: ClassVar[Mapping[str, str]] = without_ratio("length_weighted")
    source: ClassVar[str] = "OPO, arXiv:2505.23585 v2; token mean as in its authors' recipe in verl"
    peers: ClassVar[Mapping[str, str]] = {"verl": "adv_estimator = opo"}
    unlike: ClassVar[Mapping[str, str]] = {
        "surrogate": "no ratio, as its baseline is derived for on-policy training; verl 0.9.1 clips the ratio of each token "
        "by 0.2, with a dual clip of 3",
    }

    def advantage_part(self) -> Advantage:
        return LengthWeighted()
