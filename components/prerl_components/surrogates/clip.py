"""PPO's clipped surrogate, with an optional dual clip."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from prerl_spec.sdk import Need, Sign, Surrogate, Tokens

if TYPE_CHECKING:
    from torch import Tensor


class Clip(Surrogate):
    """−min(ρA, clip(ρ, 1−ε₋, 1+ε₊)A); with a dual clip c, at most −A·c where A < 0.

    The gradient of a token vanishes where A > 0 and ρ > 1 + ε₊, where A < 0 and ρ < 1 − ε₋, and where A < 0 and ρ > c.
    """

    formula: ClassVar[str] = "−min(ρA, clip(ρ, 1−ε₋, 1+ε₊)A); A < 0: at most −A·c"
    source: ClassVar[str] = (
        "PPO, arXiv:1707.06347, eq. 7; clip-higher: arXiv:2503.14476; dual clip: arXiv:1912.09729, eq. 5"
    )
    peers: ClassVar[Mapping[str, str]] = {
        "TRL": 'loss_type "grpo", "dr_grpo", "dapo": epsilon 0.2, epsilon_high (= epsilon), delta (the dual clip, off)',
        "verl": 'loss_mode "vanilla": clip_ratio_low and clip_ratio_high 0.2, clip_ratio_c 3.0 (the dual clip, always on)',
    }
    unlike: ClassVar[Mapping[str, str]] = {"dual_clip": "dual_clip is off, as in TRL; verl's is always on, at 3"}
    ratio_settings: ClassVar[tuple[str, ...]] = ("clip_low", "clip_high", "dual_clip")
    settings_by_sign: ClassVar[Mapping[Sign, tuple[str, ...]]] = {
        "positive": ("clip_high",),
        "negative": ("clip_low", "dual_clip"),
    }
    unbounded = ("ratio", "ratio")
    bounds = "above"

    clip_low: float = Field(0.2, ge=0, description="PPO lower clip ε₋: for A < 0, ratios below 1 − ε₋ get no gradient")
    clip_high: float = Field(0.2, ge=0, description="PPO upper clip ε₊: for A > 0, ratios above 1 + ε₊ get no gradient")
    dual_clip: Literal["off"] | Annotated[float, Field(gt=1)] = Field(
        "off", description="dual clip c: for A < 0, the loss is at most −A·c"
    )

    def loss(
        self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: Mapping[Need, Tensor]
    ) -> Tensor:
        """[n] clipped losses."""
        from prerl_components.surrogates.clipping import clipped_surrogate

        return clipped_surrogate(
            logp_n,
            old_n,
            advantage_n,
            clip_low=self.clip_low,
            clip_high=self.clip_high,
            dual_clip=None if self.dual_clip == "off" else self.dual_clip,
        )

    def bounded(
        self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: Mapping[Need, Tensor]
    ) -> Tensor:
        """[n] where the clip or the dual clip removes the gradient."""
        from prerl_components.ratios.log_ratios import ratio

        rho_n = ratio(logp_n, old_n)
        above = (advantage_n > 0) & (rho_n > 1 + self.clip_high)
        below = (advantage_n < 0) & (rho_n < 1 - self.clip_low)
        if self.dual_clip != "off":
            below = below | ((advantage_n < 0) & (rho_n > self.dual_clip))
        return above | below
