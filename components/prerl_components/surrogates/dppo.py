"""DPPO: a trust region in probability rather than in the ratio."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from prerl_spec.sdk import Need, Surrogate, Tokens

if TYPE_CHECKING:
    from torch import Tensor


THRESHOLDS: Mapping[str, float] = {"tv": 0.15, "kl": 0.05}
"""δ of the paper's stability study, appendix C."""


class Dppo(Surrogate):
    """−sg(M·min(ρ, C))·A·log π; M = 0 where the token has left the trust region and A pushes it further, else 1.

    That is A > 0 and ρ > 1, or A < 0 and ρ < 1, with D > δ. D compares the sampled token with all others:
    "tv": |π_old − π|; "kl": π_old log(π_old/π) + (1−π_old) log((1−π_old)/(1−π)). The paper has no cap (C = ∞), and finds
    that one harms.
    """

    formula: ClassVar[str] = "−sg(M·min(ρ, C))·A·log π, M = 0 where D(π_old, π) > δ and A·(ρ−1) > 0, else 1"
    source: ClassVar[str] = "DPPO, arXiv:2602.04879, eqs. 12–14, appendix C eq. 23"
    peers: ClassVar[Mapping[str, str]] = {
        "verl": 'loss_mode "dppo_tv", "dppo_kl": δ is clip_ratio_low and clip_ratio_high (0.2), C is clip_ratio_c (3.0)',
        "SkyRL": "dppo: δ 0.2, no cap, against the sampler's log-probabilities where recorded",
    }
    unlike: ClassVar[Mapping[str, str]] = {
        "use": "D and ρ compare with the policy before the batch, in the paper with the sampler: the same but for the gap "
        "between sampler and trainer",
        "threshold": "threshold is the paper's 0.15 for tv, 0.05 for kl: verl has 0.2 for both unless set",
        "cap": "cap is off, as in the paper, which finds that one harms: verl's is 3 unless set",
    }
    ratio_settings: ClassVar[tuple[str, ...]] = ("distance", "threshold", "cap")
    gradient = "stopped"
    unbounded = ("ratio", "ratio")
    bounds = "above"

    distance: Literal["tv", "kl"] = Field(
        "tv", description="D of the sampled token against all others: total variation, or KL(π_old‖π)"
    )
    threshold: Literal["auto"] | Annotated[float, Field(gt=0)] = Field(
        "auto", description='δ: largest D at which a token is pushed further; "auto": 0.15 for tv, 0.05 for kl'
    )
    cap: Literal["off"] | Annotated[float, Field(ge=1)] = Field(
        "off", description="C: largest weight ρ of a token's gradient; the paper has none"
    )

    @property
    def delta(self) -> float:
        """The threshold δ."""
        return THRESHOLDS[self.distance] if self.threshold == "auto" else self.threshold

    def loss(
        self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: Mapping[Need, Tensor]
    ) -> Tensor:
        """[n] −sg(M·min(ρ, C))·A·log π."""
        from prerl_components.ratios.log_ratios import ratio

        weight_n = ratio(logp_n, old_n).detach()
        if self.cap != "off":
            weight_n = weight_n.clamp(max=self.cap)
        masked_n = self._outside(logp_n, old_n, advantage_n)
        return -weight_n.masked_fill(masked_n, 0.0) * advantage_n * logp_n

    def bounded(
        self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: Mapping[Need, Tensor]
    ) -> Tensor:
        """[n] outside the trust region, or above the cap."""
        from prerl_components.ratios.log_ratios import ratio

        outside_n = self._outside(logp_n, old_n, advantage_n)
        if self.cap == "off":
            return outside_n
        return outside_n | (ratio(logp_n, old_n) > self.cap) & (advantage_n != 0)

    def _outside(self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor) -> Tensor:
        """[n] M = 0."""
        from prerl_components.surrogates.divergence import kl_of_token, tv_of_token

        divergence = tv_of_token if self.distance == "tv" else kl_of_token
        further = (advantage_n > 0) & (logp_n > old_n) | (advantage_n < 0) & (logp_n < old_n)
        return further & (divergence(logp_n, old_n) > self.delta)
