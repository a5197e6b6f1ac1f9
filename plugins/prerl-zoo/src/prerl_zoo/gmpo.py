"""GMPO: the geometric mean of a response's ratios in place of the arithmetic one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from prerl_spec.sdk import Need, Surrogate, Tokens
from pydantic import Field

if TYPE_CHECKING:
    from torch import Tensor


class Gmpo(Surrogate):
    """−A·exp(mean_t g_t), g_t = log ρ_t clipped at δ₊ where A > 0, and at −δ₋ where A < 0.

    Each token has the loss −A·R of its response, R the clipped geometric mean, and the gradient −A·R·∇log π_t, 0 where
    its own ratio is clipped. With aggregation = "sequence_mean" this is the paper's objective; the advantage is one of
    samples.
    """

    formula: ClassVar[str] = "−A·exp(mean_t g_t), g_t = sgn(A)·min(sgn(A)·log ρ_t, sgn(A)·clamp(log ρ_t, −δ₋, δ₊))"
    source: ClassVar[str] = "GMPO, arXiv:2507.20673, eq. 4 and algorithm 1"
    peers: ClassVar[Mapping[str, str]] = {"verl": "policy_loss.loss_mode = geo_mean", "TRL": "GMPOTrainer"}
    unlike: ClassVar[Mapping[str, str]] = {
        "clip_low": "verl's geo_mean has .2 unless it is set",
        "clip_high": "verl's geo_mean has .2 unless it is set",
    }
    ratio_settings: ClassVar[tuple[str, ...]] = ("clip_low", "clip_high")

    clip_low: float = Field(0.4, ge=0, description="δ₋: for A < 0, log-ratios below −δ₋ get no gradient")
    clip_high: float = Field(0.4, ge=0, description="δ₊: for A > 0, log-ratios above δ₊ get no gradient")

    def loss(
        self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: Mapping[Need, Tensor]
    ) -> Tensor:
        """[n] −A·R."""
        import torch

        from prerl_zoo.ratios import log_ratio, response_lengths, response_sums, times_gradient

        log_rho_n = log_ratio(logp_n, old_n)
        clipped_n = torch.where(
            advantage_n > 0, log_rho_n.clamp(max=self.clip_high), log_rho_n.clamp(min=-self.clip_low)
        )
        mean_n = response_sums(clipped_n, tokens) / response_lengths(clipped_n, tokens)
        return -advantage_n * times_gradient(mean_n.exp(), clipped_n)

    def bounded(
        self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: Mapping[Need, Tensor]
    ) -> Tensor:
        """[n] where the token's own ratio is clipped."""
        log_rho_n = logp_n - old_n
        return (advantage_n > 0) & (log_rho_n > self.clip_high) | (advantage_n < 0) & (log_rho_n < -self.clip_low)
