"""TOPR: off-policy REINFORCE that tapers the weights of wrong responses only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from prerl_spec.sdk import Need, Sign, Surrogate, Tokens

if TYPE_CHECKING:
    from torch import Tensor


ROUNDING = 1e-4
"""Relative gap of two computations of a response's probability in fp32: some 1e-6 a token, over a hundred tokens."""


class Topr(Surrogate):
    """−α·A·log π, α = 1 where A ≥ 0, else sg(min(π(y)/π_old(y), 1)), the ratio of the whole response.

    Right responses count in full however far the policy has moved; the push on a wrong one fades as it becomes unlikely,
    and never exceeds that of REINFORCE.
    """

    formula: ClassVar[str] = "−α·A·log π, α = 1 where A ≥ 0, else sg(min(π(y)/π_old(y), 1))"
    source: ClassVar[str] = "TOPR, arXiv:2503.14286, eqs. 7–8"
    peers: ClassVar[Mapping[str, str]] = {
        "Trinity-RFT": "topr: the ratio is that of each token, level = token here",
        "ROLL": 'pg_variant "topr"',
    }
    unlike: ClassVar[Mapping[str, str]] = {
        "level": "the ratio is the whole response's, as in the paper: Trinity-RFT's is each token's",
    }
    ratio_settings: ClassVar[tuple[str, ...]] = ("level",)
    settings_by_sign: ClassVar[Mapping[Sign, tuple[str, ...]]] = {"negative": ("level",)}
    gradient = "stopped"
    bounds = "above"

    level: Literal["sequence", "geometric", "token"] = Field(
        "sequence",
        description="ratio of a wrong response: sequence, the product over its tokens (the paper's); geometric, its T-th "
        "root; token, each token's own",
    )

    def loss(
        self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: Mapping[Need, Tensor]
    ) -> Tensor:
        """[n] tapered losses."""
        from prerl_components.ratios.levels import leveled_ratio

        taper_n = leveled_ratio(logp_n, old_n, tokens, self.level).clamp(max=1.0)
        return -taper_n.masked_fill(advantage_n >= 0, 1.0) * advantage_n * logp_n

    def bounded(
        self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: Mapping[Need, Tensor]
    ) -> Tensor:
        """[n] where A < 0 and the ratio is above 1 by more than rounding: before a batch's first update it is 1 up to the
        rounding of two forwards, which is no bound that acts."""
        from prerl_components.ratios.levels import leveled_ratio

        return (advantage_n < 0) & (leveled_ratio(logp_n, old_n, tokens, self.level) > 1 + ROUNDING)
