"""FIPO: a token counts for more where the update has made the rest of its response likelier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from prerl_spec.sdk import Need, Surrogate, Tokens
from pydantic import Field

if TYPE_CHECKING:
    from torch import Tensor


class Fipo(Surrogate):
    """PPO's dual-clipped loss times f_t = sg[clip(exp F_t, low, high)], F_t = Σ_{k ≥ t} γ^(k−t) M_k log ρ_k.

    F is the paper's future KL, γ = 2^(−1/half_life). Where A < 0, tokens with ρ > dual_clip are left out of F (M = 0),
    and f = 1 for tokens with ρ > safety. The sum is over the rest of the response.
    """

    formula: ClassVar[str] = (
        "f_t·max(−ρA, −clip(ρ, 1−ε₋, 1+ε₊)A), A < 0: at most −f_t·A·c; "
        "f_t = sg[clip(exp Σ_{k≥t} γ^(k−t) M_k log ρ_k, low, high)]"
    )
    source: ClassVar[str] = "FIPO, arXiv:2603.19835, eqs 4-8; settings of its 32B model, table 2"
    peers: ClassVar[Mapping[str, str]] = {"ms-swift": "loss_type = fipo"}
    unlike: ClassVar[Mapping[str, str]] = {"safety": "ms-swift has 4; the paper's 7B model 3, with low = 0.8"}
    gradient: ClassVar[Literal["exact", "stopped"]] = "stopped"
    bounds: ClassVar[Literal["outward", "above", "any"]] = "above"
    ratio_settings: ClassVar[tuple[str, ...]] = (
        "clip_low",
        "clip_high",
        "dual_clip",
        "half_life",
        "low",
        "high",
        "safety",
    )

    clip_low: float = Field(0.2, ge=0, description="ε₋: for A < 0, ratios below 1 − ε₋ get no gradient")
    clip_high: float = Field(0.28, ge=0, description="ε₊: for A > 0, ratios above 1 + ε₊ get no gradient")
    dual_clip: float = Field(10.0, gt=1, description="c: for A < 0, larger ratios get no gradient, nor a part in F")
    half_life: float = Field(32.0, gt=0, description="tokens after which the weight of a later log-ratio has halved")
    low: float = Field(1.0, ge=0, le=1, description="minimum of the factor f")
    high: float = Field(1.2, ge=1, description="maximum of the factor f")
    safety: float = Field(10.0, gt=1, description="ratio above which f is 1 for A < 0")

    def loss(
        self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: Mapping[Need, Tensor]
    ) -> Tensor:
        """[n] f_t times the clipped loss."""
        import torch

        from prerl_zoo.ratios import log_ratio

        rho_n = log_ratio(logp_n, old_n).exp()
        clipped_n = rho_n.clamp(1 - self.clip_low, 1 + self.clip_high)
        loss_n = torch.maximum(-rho_n * advantage_n, -clipped_n * advantage_n)
        loss_n = torch.where(advantage_n < 0, torch.minimum(loss_n, -self.dual_clip * advantage_n), loss_n)
        return self.influence(logp_n, old_n, advantage_n, tokens) * loss_n

    def influence(self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens) -> Tensor:
        """[n] the factors f_t, detached."""
        import torch

        from prerl_zoo.ratios import discounted_sums, log_ratio

        log_rho_n = log_ratio(logp_n, old_n).detach()
        rho_n, wrong_n = log_rho_n.exp(), advantage_n < 0
        counted_n = torch.where(wrong_n & (rho_n > self.dual_clip), 0.0, log_rho_n)
        future_n = discounted_sums(counted_n, tokens, gamma=2 ** (-1 / self.half_life))
        return torch.where(wrong_n & (rho_n > self.safety), 1.0, future_n.exp().clamp(self.low, self.high))

    def bounded(
        self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: Mapping[Need, Tensor]
    ) -> Tensor:
        """[n] where the clip or the dual clip removes the gradient."""
        rho_n = (logp_n - old_n).exp()
        wrong_n = (rho_n < 1 - self.clip_low) | (rho_n > self.dual_clip)
        return (advantage_n > 0) & (rho_n > 1 + self.clip_high) | (advantage_n < 0) & wrong_n
