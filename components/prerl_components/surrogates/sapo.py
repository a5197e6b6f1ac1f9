"""SAPO: a soft gate on the ratio in place of a clip."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from prerl_spec.sdk import Need, Surrogate, Tokens

if TYPE_CHECKING:
    from torch import Tensor


class Sapo(Surrogate):
    """−(4/τ)·sigmoid(τ(ρ−1))·A, τ = τ₊ where A > 0, else τ₋.

    The gradient is −sech²(τ(ρ−1)/2)·ρ·A·∇log π: that of REINFORCE at ρ = 1, and fading on both sides of it, whatever
    the sign of A. No bound ever acts. (The value at ρ = 1 is −2A/τ, not −A.)
    """

    formula: ClassVar[str] = "−(4/τ)·sigmoid(τ(ρ−1))·A, τ = τ₊ where A > 0, else τ₋"
    source: ClassVar[str] = "SAPO, arXiv:2511.20347, eqs. 5–6"
    peers: ClassVar[Mapping[str, str]] = {
        "TRL": 'loss_type "sapo": sapo_temperature_pos 1.0, sapo_temperature_neg 1.05',
        "verl": 'loss_mode "sapo": tau_pos 1.0, tau_neg 1.05, always a sequence mean',
    }
    ratio_settings: ClassVar[tuple[str, ...]] = ("tau_positive", "tau_negative")

    tau_positive: float = Field(1.0, gt=0, description="τ₊: for A > 0, how sharply the gradient fades away from ρ = 1")
    tau_negative: float = Field(1.05, gt=0, description="τ₋: for A < 0, how sharply the gradient fades away from ρ = 1")

    def loss(
        self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: Mapping[Need, Tensor]
    ) -> Tensor:
        """[n] gated losses."""
        from prerl_components.ratios.log_ratios import ratio

        tau_n = logp_n.new_full((), self.tau_positive).where(advantage_n > 0, self.tau_negative)
        return -(4.0 / tau_n) * (tau_n * (ratio(logp_n, old_n) - 1.0)).sigmoid() * advantage_n
