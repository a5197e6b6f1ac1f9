"""ASPO: right responses are weighted by the reciprocal ratio, so that tokens that lag behind are learnt faster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from prerl_spec.sdk import Need, Surrogate, Tokens
from pydantic import Field

if TYPE_CHECKING:
    from torch import Tensor


class Aspo(Surrogate):
    """−sg[w]·A·log π, with w = min(1/ρ, c) where A > 0 and ρ ≤ 1 + ε₊, w = min(ρ, c) where A < 0 and ρ ≥ 1 − ε₋, else 0.

    The clip removes tokens, as in PPO; the dual clip c bounds their weight and keeps their gradient, as in CISPO. (The
    weight is detached: a differentiable 1/ρ would have the gradient's sign reversed.)
    """

    formula: ClassVar[str] = "−sg[w]·A·log π; A > 0: w = min(1/ρ, c)·1[ρ ≤ 1+ε₊]; A < 0: w = min(ρ, c)·1[ρ ≥ 1−ε₋]"
    source: ClassVar[str] = "ASPO, arXiv:2510.06062v2, section 6 and eq. 3; c = 3 from the authors' code"
    gradient: ClassVar[Literal["exact", "stopped"]] = "stopped"
    bounds: ClassVar[Literal["outward", "above", "any"]] = "any"
    ratio_settings: ClassVar[tuple[str, ...]] = ("clip_low", "clip_high", "dual_clip")

    clip_low: float = Field(0.2, ge=0, description="ε₋: for A < 0, ratios below 1 − ε₋ get no gradient")
    clip_high: float = Field(0.2, ge=0, description="ε₊: for A > 0, ratios above 1 + ε₊ get no gradient")
    dual_clip: float = Field(3.0, ge=1, description="c: maximum weight, 1/ρ for A > 0 and ρ for A < 0")

    def loss(
        self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: Mapping[Need, Tensor]
    ) -> Tensor:
        """[n] −sg[w]·A·log π."""
        import torch

        from prerl_zoo.ratios import log_ratio

        rho_n = log_ratio(logp_n, old_n).detach().exp()
        right_n = torch.where(rho_n <= 1 + self.clip_high, (1 / rho_n).clamp(max=self.dual_clip), 0.0)
        wrong_n = torch.where(rho_n >= 1 - self.clip_low, rho_n.clamp(max=self.dual_clip), 0.0)
        return -torch.where(advantage_n > 0, right_n, wrong_n) * advantage_n * logp_n

    def bounded(
        self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: Mapping[Need, Tensor]
    ) -> Tensor:
        """[n] where the clip removes a token, or the dual clip bounds its weight."""
        rho_n = (logp_n - old_n).exp()
        right_n = (rho_n > 1 + self.clip_high) | (rho_n * self.dual_clip < 1)
        wrong_n = (rho_n < 1 - self.clip_low) | (rho_n > self.dual_clip)
        return (advantage_n > 0) & right_n | (advantage_n < 0) & wrong_n
