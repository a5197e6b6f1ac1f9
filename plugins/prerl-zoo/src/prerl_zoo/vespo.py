"""VESPO: a smooth weight of the whole response's ratio, which falls on both sides of 1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from prerl_spec.sdk import Need, Surrogate, Tokens
from pydantic import Field

if TYPE_CHECKING:
    from torch import Tensor


class Vespo(Surrogate):
    """−sg[φ(W)]·A·log π, W = Π_t ρ_t of the response, φ(W) = W^c₁·exp(c₂(1 − W)), other c₁, c₂ for A < 0.

    φ(1) = 1. W is not normalised by length. A gap to the sampler is not a part of W here, as it is in the paper: a
    correction of the objective weights the tokens beside φ.
    """

    formula: ClassVar[str] = "−sg[φ]·A·log π, φ = W^c₁·exp(c₂(1−W)), W = Π_t ρ_t over the response"
    source: ClassVar[str] = "VESPO, arXiv:2602.10693, eq. 20; c₁ and c₂ of section 4.1, as in TRL"
    peers: ClassVar[Mapping[str, str]] = {"TRL": "loss_type = vespo"}
    gradient: ClassVar[Literal["exact", "stopped"]] = "stopped"
    ratio_settings: ClassVar[tuple[str, ...]] = ("power_right", "decay_right", "power_wrong", "decay_wrong")

    power_right: float = Field(2.0, gt=0, description="c₁ for A ≥ 0: how fast φ falls below W = 1")
    decay_right: float = Field(3.0, gt=0, description="c₂ for A ≥ 0: how fast φ falls above W = 1")
    power_wrong: float = Field(3.0, gt=0, description="c₁ for A < 0")
    decay_wrong: float = Field(2.0, gt=0, description="c₂ for A < 0")

    def loss(
        self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: Mapping[Need, Tensor]
    ) -> Tensor:
        """[n] −sg[φ]·A·log π."""
        import torch

        from prerl_zoo.ratios import response_sums

        # Not clamped: where W overflows, 1 − W is −inf and φ is 0, as it should be.
        log_w_n = response_sums((logp_n - old_n).detach(), tokens)
        right_n = self.power_right * log_w_n + self.decay_right * (1 - log_w_n.exp())
        wrong_n = self.power_wrong * log_w_n + self.decay_wrong * (1 - log_w_n.exp())
        return -torch.where(advantage_n < 0, wrong_n, right_n).exp() * advantage_n * logp_n
