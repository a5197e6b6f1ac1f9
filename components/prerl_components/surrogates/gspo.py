"""GSPO: PPO's clip on the ratio of the whole response, its length taken out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from prerl_spec.sdk import Need, Sign, Surrogate, Tokens

if TYPE_CHECKING:
    from torch import Tensor


class Gspo(Surrogate):
    """−min(s_t·A, clip(s_t, 1−ε₋, 1+ε₊)·A), s_t = sg(s)·π_t/sg(π_t), s = exp(mean_t log ρ_t) of the response.

    GSPO-token: with one advantage a response and a sequence mean, its gradient is that of GSPO, in which s itself is
    differentiated. A response is clipped whole, or not at all.
    """

    formula: ClassVar[str] = "−min(s_t·A, clip(s_t, 1−ε₋, 1+ε₊)·A), s_t = sg(s)·π/sg(π), s = exp(mean_t log ρ)"
    source: ClassVar[str] = "GSPO, arXiv:2507.18071, eqs. 5–7; per token: eqs. 13–14"
    peers: ClassVar[Mapping[str, str]] = {
        "TRL": 'importance_sampling_level "sequence" with loss_type "grpo": epsilon 0.2 unless set',
        "verl": 'loss_mode "gspo": clip_ratio_low and clip_ratio_high 0.2 unless set',
    }
    unlike: ClassVar[Mapping[str, str]] = {
        "clip_low": "clip_low is the paper's 3e-4: TRL and verl have 0.2 unless set, which hardly ever acts on s",
        "clip_high": "clip_high is the paper's 4e-4: TRL and verl have 0.2 unless set, which hardly ever acts on s",
    }
    ratio_settings: ClassVar[tuple[str, ...]] = ("clip_low", "clip_high")
    settings_by_sign: ClassVar[Mapping[Sign, tuple[str, ...]]] = {"positive": ("clip_high",), "negative": ("clip_low",)}
    gradient = "exact"
    unbounded = ("geometric", "geometric")

    clip_low: float = Field(3e-4, ge=0, description="ε₋: for A < 0, responses with s below 1 − ε₋ get no gradient")
    clip_high: float = Field(4e-4, ge=0, description="ε₊: for A > 0, responses with s above 1 + ε₊ get no gradient")

    def loss(
        self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: Mapping[Need, Tensor]
    ) -> Tensor:
        """[n] clipped losses, of one size within a response with one advantage."""
        from prerl_components.ratios.levels import leveled_ratio

        sequence_n = leveled_ratio(logp_n, old_n, tokens, "geometric")
        token_n = sequence_n * (logp_n - logp_n.detach()).exp()
        clipped_n = token_n.clamp(1.0 - self.clip_low, 1.0 + self.clip_high)
        return (-advantage_n * token_n).maximum(-advantage_n * clipped_n)

    def bounded(
        self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: Mapping[Need, Tensor]
    ) -> Tensor:
        """[n] where the response is clipped."""
        from prerl_components.ratios.levels import leveled_ratio

        sequence_n = leveled_ratio(logp_n, old_n, tokens, "geometric")
        above = (advantage_n > 0) & (sequence_n > 1 + self.clip_high)
        return above | (advantage_n < 0) & (sequence_n < 1 - self.clip_low)
