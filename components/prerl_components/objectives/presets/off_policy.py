"""Presets that treat the ratio to the old policy otherwise than PPO's clip, on log P(y|x).

With one update a batch ρ is 1, and all of them have REINFORCE's gradient, −A ∇log π.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from prerl_components.advantages.group_mean import GroupMean
from prerl_components.advantages.group_std import GroupStd
from prerl_components.advantages.signed import Signed
from prerl_components.objectives.aggregation import AGGREGATION_WORDS, Aggregation
from prerl_components.objectives.presets.flat import TRL_CORRECTS, TRL_STD, Preset
from prerl_components.surrogates.cispo import Cispo as CispoSurrogate
from prerl_components.surrogates.dppo import Dppo as DppoSurrogate
from prerl_components.surrogates.gspo import Gspo as GspoSurrogate
from prerl_components.surrogates.sapo import Sapo as SapoSurrogate
from prerl_components.surrogates.topr import Topr as ToprSurrogate
from prerl_spec.sdk import Advantage, Surrogate

_UNLIKE_TRL: Mapping[str, str] = {"use": TRL_STD, "importance": TRL_CORRECTS}


class Cispo(Preset):
    """GRPO whose tokens never lose their gradient: the ratio is a weight with a cap, and no clip."""

    formula: ClassVar[str] = "Σ_i Σ_t −sg(min(ρ, C))·A·log π/N, A = (r − m)/(σ + 1e-6)"
    source: ClassVar[str] = CispoSurrogate.source
    peers: ClassVar[Mapping[str, str]] = CispoSurrogate.peers
    unlike: ClassVar[Mapping[str, str]] = {**CispoSurrogate.unlike, **_UNLIKE_TRL}
    ratio_settings: ClassVar[tuple[str, ...]] = CispoSurrogate.ratio_settings

    cap: float = Field(
        5.0, ge=1, description="C: largest weight ρ of a token's gradient; not 1 + ε but the ratio itself"
    )

    def advantage_part(self) -> Advantage:
        return GroupStd()

    def surrogate_part(self) -> Surrogate:
        return CispoSurrogate(cap=self.cap)


class Gspo(Preset):
    """GRPO with one ratio for a whole response, and a clip to match: a response is clipped whole, or not at all."""

    formula: ClassVar[str] = (
        "mean_i mean_t −min(s_t·A, clip(s_t, 1−ε₋, 1+ε₊)·A), s_t = sg(s)·π/sg(π), s = exp(mean_t log ρ), "
        "A = (r − m)/(σ + 1e-6)"
    )
    source: ClassVar[str] = GspoSurrogate.source
    peers: ClassVar[Mapping[str, str]] = GspoSurrogate.peers
    unlike: ClassVar[Mapping[str, str]] = {
        **GspoSurrogate.unlike,
        "aggregation": "aggregation is the paper's sequence_mean: verl's is a token mean unless set",
        **_UNLIKE_TRL,
    }
    ratio_settings: ClassVar[tuple[str, ...]] = GspoSurrogate.ratio_settings

    clip_low: float = Field(3e-4, ge=0, description="ε₋: for A < 0, responses with s below 1 − ε₋ get no gradient")
    clip_high: float = Field(4e-4, ge=0, description="ε₊: for A > 0, responses with s above 1 + ε₊ get no gradient")
    aggregation: Aggregation = Field("sequence_mean", description=AGGREGATION_WORDS)

    def advantage_part(self) -> Advantage:
        return GroupStd()

    def surrogate_part(self) -> Surrogate:
        return GspoSurrogate(clip_low=self.clip_low, clip_high=self.clip_high)


class Sapo(Preset):
    """GRPO with a soft gate in place of the clip: the gradient fades as ρ leaves 1, on both sides."""

    formula: ClassVar[str] = (
        "mean_i mean_t −(4/τ)·sigmoid(τ(ρ−1))·A, τ = τ₊ where A > 0, else τ₋, A = (r − m)/(σ + 1e-6)"
    )
    source: ClassVar[str] = SapoSurrogate.source
    peers: ClassVar[Mapping[str, str]] = SapoSurrogate.peers
    unlike: ClassVar[Mapping[str, str]] = _UNLIKE_TRL
    ratio_settings: ClassVar[tuple[str, ...]] = SapoSurrogate.ratio_settings

    tau_positive: float = Field(1.0, gt=0, description="τ₊: for A > 0, how sharply the gradient fades away from ρ = 1")
    tau_negative: float = Field(1.05, gt=0, description="τ₋: for A < 0, how sharply the gradient fades away from ρ = 1")
    aggregation: Aggregation = Field("sequence_mean", description=AGGREGATION_WORDS)

    def advantage_part(self) -> Advantage:
        return GroupStd()

    def surrogate_part(self) -> Surrogate:
        return SapoSurrogate(tau_positive=self.tau_positive, tau_negative=self.tau_negative)


class Dppo(Preset):
    """A trust region in probability: a token that has moved by more than δ is not pushed further. A as in Dr. GRPO."""

    formula: ClassVar[str] = (
        "Σ_i Σ_t −sg(M·min(ρ, C))·A·log π/(S·L), M = 0 where D(π_old, π) > δ and A·(ρ−1) > 0, A = r − m, L = max_new_tokens"
    )
    source: ClassVar[str] = DppoSurrogate.source
    peers: ClassVar[Mapping[str, str]] = DppoSurrogate.peers
    unlike: ClassVar[Mapping[str, str]] = {
        **DppoSurrogate.unlike,
        "aggregation": "aggregation is constant, for the sum of the paper's eq. 12: verl's is a token mean unless set",
    }
    ratio_settings: ClassVar[tuple[str, ...]] = DppoSurrogate.ratio_settings

    distance: Literal["tv", "kl"] = Field(
        "tv", description="D of the sampled token against all others: total variation, or KL(π_old‖π)"
    )
    threshold: Literal["auto"] | Annotated[float, Field(gt=0)] = Field(
        "auto", description='δ: largest D at which a token is pushed further; "auto": 0.15 for tv, 0.05 for kl'
    )
    cap: Literal["off"] | Annotated[float, Field(ge=1)] = Field(
        "off", description="C: largest weight ρ of a token's gradient; the paper has none"
    )
    aggregation: Aggregation = Field("constant", description=AGGREGATION_WORDS)

    def advantage_part(self) -> Advantage:
        return GroupMean()

    def surrogate_part(self) -> Surrogate:
        return DppoSurrogate(distance=self.distance, threshold=self.threshold, cap=self.cap)


class Topr(Preset):
    """REINFORCE on ±1, with the weights of wrong responses tapered as they become unlikely. It needs no group.

    The baseline is 0, as in the paper's main runs.
    """

    formula: ClassVar[str] = "mean_i mean_t −α·A·log π, A = ±1, α = 1 where A > 0, else sg(min(π(y)/π_old(y), 1))"
    source: ClassVar[str] = ToprSurrogate.source
    peers: ClassVar[Mapping[str, str]] = ToprSurrogate.peers
    unlike: ClassVar[Mapping[str, str]] = ToprSurrogate.unlike
    ratio_settings: ClassVar[tuple[str, ...]] = ToprSurrogate.ratio_settings

    level: Literal["sequence", "geometric", "token"] = Field(
        "sequence",
        description="ratio of a wrong response: sequence, the product over its tokens (the paper's); geometric, its T-th "
        "root; token, each token's own",
    )
    aggregation: Aggregation = Field("sequence_mean", description=AGGREGATION_WORDS)

    def advantage_part(self) -> Advantage:
        return Signed()

    def surrogate_part(self) -> Surrogate:
        return ToprSurrogate(level=self.level)
