"""CE-GPPO: the tokens that PPO clips keep a bounded gradient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from prerl_spec.sdk import Need, Surrogate, Tokens
from pydantic import Field

if TYPE_CHECKING:
    from torch import Tensor


class CeGppo(Surrogate):
    """−w·A·∇log π with w = ρ inside PPO's clip, β₁(1 − ε₋) below it where A < 0, β₂(1 + ε₊) above it where A > 0.

    β₁ = β₂ = 0 is PPO's clip. A larger β₁ lets entropy fall faster, a larger β₂ slower.
    """

    formula: ClassVar[str] = (
        "−w·ρ/sg[ρ]·A, w = β₁(1−ε₋) if ρ < 1−ε₋ and A < 0; β₂(1+ε₊) if ρ > 1+ε₊ and A > 0; otherwise ρ"
    )
    source: ClassVar[str] = "CE-GPPO, arXiv:2509.20712, eqs 8-10; β of table 1"
    gradient: ClassVar[Literal["exact", "stopped"]] = "stopped"
    unbounded: ClassVar[tuple[Literal["ratio"], Literal["ratio"]]] = ("ratio", "ratio")
    ratio_settings: ClassVar[tuple[str, ...]] = ("clip_low", "clip_high", "beta_low", "beta_high")

    clip_low: float = Field(0.2, ge=0, lt=1, description="ε₋: for A < 0, ratios below 1 − ε₋ have weight β₁(1 − ε₋)")
    clip_high: float = Field(0.2, ge=0, description="ε₊: for A > 0, ratios above 1 + ε₊ have weight β₂(1 + ε₊)")
    beta_low: float = Field(0.75, ge=0, description="β₁: share of the gradient kept below the clip; 0 is PPO's")
    beta_high: float = Field(1.0, ge=0, description="β₂: share of the gradient kept above the clip; 0 is PPO's")

    def loss(
        self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: Mapping[Need, Tensor]
    ) -> Tensor:
        """[n] −w·A, with the gradient −w·A·∇log π."""
        import torch

        from prerl_zoo.ratios import log_ratio, times_gradient

        rho_n = log_ratio(logp_n, old_n).detach().exp()
        below_n = (advantage_n < 0) & (rho_n < 1 - self.clip_low)
        above_n = (advantage_n > 0) & (rho_n > 1 + self.clip_high)
        weight_n = torch.where(below_n, self.beta_low * (1 - self.clip_low), rho_n)
        weight_n = torch.where(above_n, self.beta_high * (1 + self.clip_high), weight_n)
        return -advantage_n * times_gradient(weight_n, logp_n)

    def bounded(
        self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: Mapping[Need, Tensor]
    ) -> Tensor:
        """[n] where PPO would clip."""
        rho_n = (logp_n - old_n).exp()
        return (advantage_n < 0) & (rho_n < 1 - self.clip_low) | (advantage_n > 0) & (rho_n > 1 + self.clip_high)
