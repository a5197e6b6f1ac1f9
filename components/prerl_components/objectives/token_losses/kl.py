"""The KL penalty to the reference model, as a term of `weighted_sum`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from prerl_components.objectives.token_losses.token_loss import SampledTokenLoss
from prerl_spec.sdk import Conditional, Need, Tokens

if TYPE_CHECKING:
    from torch import Tensor


class Kl(SampledTokenLoss):
    """KL(π ‖ reference) on log P(y|x), estimated on the sampled tokens."""

    estimator: Literal["k3", "k1", "k2"] = Field(
        "k3", description="d = log π_ref − log π: k3 = e^d − 1 − d, k1 = −d, k2 = d²/2"
    )

    def needs(self) -> frozenset[Need]:
        return frozenset({Need(Conditional(), "policy"), Need(Conditional(), "reference")})

    def terms(self, logp: Mapping[Need, Tensor], advantage_n: Tensor, tokens: Tokens) -> Tensor:
        """[n] estimates, differentiated through log π."""
        from prerl_components.objectives.token_losses.divergences import kl_estimate

        return kl_estimate(logp[Need(Conditional(), "policy")], logp[Need(Conditional(), "reference")], self.estimator)
