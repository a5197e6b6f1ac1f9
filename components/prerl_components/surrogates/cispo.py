"""CISPO: the ratio is a capped stop-gradient weight, so that no token loses its gradient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from prerl_spec.sdk import Need, Surrogate, Tokens

if TYPE_CHECKING:
    from torch import Tensor


class Cispo(Surrogate):
    """−sg(min(ρ, C))·A·log π: a token with a large ratio keeps its gradient, at C times that of REINFORCE.

    The ratio is cut above only. The paper tunes the cap and prints none; 5 is ScaleRL's.
    """

    formula: ClassVar[str] = "−sg(min(ρ, C))·A·log π"
    source: ClassVar[str] = "MiniMax-M1, arXiv:2506.13585, eqs. 4–5; C = 5: ScaleRL, arXiv:2510.13786"
    peers: ClassVar[Mapping[str, str]] = {
        "TRL": 'loss_type "cispo": epsilon_high is the cap C itself, and is 0.2 where nothing is set',
        "verl": 'loss_mode "cispo": cap 1 + clip_ratio_high = 1.2, and a floor 1 − clip_ratio_low = 0.8',
        "SkyRL": "cispo: cap 1 + eps_clip_high = 6, floor 1 − eps_clip_low = 1",
    }
    unlike: ClassVar[Mapping[str, str]] = {
        "cap": "cap is the largest ratio itself, 5, and there is no floor: TRL's epsilon_high is the cap too, but 0.2 unless "
        "set; verl's clip_ratio_high is the cap less 1, 0.2, and it has a floor of 0.8",
    }
    ratio_settings: ClassVar[tuple[str, ...]] = ("cap",)
    gradient = "stopped"
    unbounded = ("ratio", "ratio")
    bounds = "above"

    cap: float = Field(
        5.0, ge=1, description="C: largest weight ρ of a token's gradient; not 1 + ε but the ratio itself"
    )

    def loss(
        self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: Mapping[Need, Tensor]
    ) -> Tensor:
        """[n] −sg(min(ρ, C))·A·log π."""
        from prerl_components.ratios.log_ratios import ratio

        return -ratio(logp_n, old_n).detach().clamp(max=self.cap) * advantage_n * logp_n

    def bounded(
        self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: Mapping[Need, Tensor]
    ) -> Tensor:
        """[n] where the cap is below the ratio."""
        from prerl_components.ratios.log_ratios import ratio

        return (ratio(logp_n, old_n) > self.cap) & (advantage_n != 0)
