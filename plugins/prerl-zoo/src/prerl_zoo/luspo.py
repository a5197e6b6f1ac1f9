"""LUSPO: GSPO's loss of a response times its length."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from prerl_spec.sdk import Need, Surrogate, Tokens
from pydantic import Field

if TYPE_CHECKING:
    from torch import Tensor


class Luspo(Surrogate):
    """−|y|·min(sA, clip(s, 1−ε₋, 1+ε₊)A), s = exp(mean_t log ρ_t), |y| the trained tokens of the response.

    With aggregation = "sequence_mean" this is the paper's objective: every token of the update has the same weight, which
    makes it the only surrogate here that differs from GRPO at ρ = 1. GSPO's loss with aggregation = "constant" is the
    same divided by max_new_tokens. Each token has the gradient of GSPO-token, with s_t = sg[s]·π_t/sg[π_t].
    """

    formula: ClassVar[str] = "−|y|·min(sA, clip(s, 1−ε₋, 1+ε₊)A), s = exp(mean_t log ρ_t)"
    source: ClassVar[str] = "LUSPO, arXiv:2602.05261, eq. 7; clips of section 5.1"
    peers: ClassVar[Mapping[str, str]] = {"TRL": "loss_type = luspo"}
    on_policy: ClassVar[Literal["reinforce", "other"]] = "other"
    ratio_settings: ClassVar[tuple[str, ...]] = ("clip_low", "clip_high")

    clip_low: float = Field(2e-3, ge=0, description="ε₋: for A < 0, responses with s below 1 − ε₋ get no gradient")
    clip_high: float = Field(2.5e-3, ge=0, description="ε₊: for A > 0, responses with s above 1 + ε₊ get no gradient")

    def loss(
        self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: Mapping[Need, Tensor]
    ) -> Tensor:
        """[n] GSPO-token's losses times the length of the response."""
        import torch

        from prerl_zoo.ratios import response_lengths, times_gradient

        s_n = times_gradient(self._mean_ratio(logp_n, old_n, tokens), logp_n)
        clipped_n = s_n.clamp(1 - self.clip_low, 1 + self.clip_high)
        return response_lengths(s_n, tokens) * torch.maximum(-s_n * advantage_n, -clipped_n * advantage_n)

    def bounded(
        self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: Mapping[Need, Tensor]
    ) -> Tensor:
        """[n] the tokens of clipped responses."""
        s_n = self._mean_ratio(logp_n, old_n, tokens)
        return (advantage_n > 0) & (s_n > 1 + self.clip_high) | (advantage_n < 0) & (s_n < 1 - self.clip_low)

    @staticmethod
    def _mean_ratio(logp_n: Tensor, old_n: Tensor, tokens: Tokens) -> Tensor:
        from prerl_zoo.ratios import log_ratio, response_lengths, response_sums

        log_rho_n = log_ratio(logp_n, old_n)
        return (response_sums(log_rho_n, tokens) / response_lengths(log_rho_n, tokens)).exp()
