"""The KL penalty to the reference model, as a term of `weighted_sum`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from prerl_components.objectives.point import old_logp
from prerl_components.objectives.token_losses.token_loss import SampledTokenLoss
from prerl_spec.sdk import Conditional, Need, Tokens

if TYPE_CHECKING:
    from torch import Tensor

_LOGP, _OLD, _REFERENCE = (Need(Conditional(), of) for of in ("policy", "old", "reference"))


class Kl(SampledTokenLoss):
    """KL(π ‖ reference) on log P(y|x), estimated on the sampled tokens; d = log π_ref − log π.

    The *value* of k3 is unbiased, its *gradient* as a loss is not: it estimates ∇KL(ref ‖ π) at ρ = 1, the other
    direction. k2's gradient estimates ∇KL(π ‖ ref) exactly, k1's is zero in expectation. gradient = "ratio" multiplies the
    estimate by ρ = π/π_old and differentiates that too, also where ρ = 1: then the gradients of k1 and k3 are unbiased
    (that of k2 is not).
    """

    formula: ClassVar[str] = "k3 = e^d − 1 − d, k1 = −d, k2 = d²/2, d = log π_ref − log π; ratio: ρ · k"
    source: ClassVar[str] = (
        "http://joschu.net/blog/kl-approx.html; GRPO, arXiv:2402.03300, eq. 4; ratio: "
        "DeepSeek-V3.2, arXiv:2512.02556, eq. 7"
    )
    peers: ClassVar[Mapping[str, str]] = {
        "TRL": 'beta (k3; default 0; use_bias_correction_kl, on by default, is gradient = "ratio")',
        "verl": "use_kl_loss, kl_loss_type (low_var_kl is k3, mse is k2, kl is k1)",
    }
    unlike: ClassVar[Mapping[str, str]] = {
        "gradient": "gradient is plain, as in GRPO's paper; TRL 1.16 takes the ratio's (use_bias_correction_kl) unless set",
    }

    estimator: Literal["k3", "k1", "k2"] = Field(
        "k3", description="d = log π_ref − log π: k3 = e^d − 1 − d, k1 = −d, k2 = d²/2"
    )
    gradient: Literal["plain", "ratio"] = Field(
        "plain",
        description="plain: differentiates the estimate alone; ratio: times ρ = π/π_old, differentiated as well, which "
        "makes the gradient of k1 and k3 unbiased (DeepSeek-V3.2)",
    )

    @property
    def uses_ratio(self) -> bool:
        return self.gradient == "ratio"

    def needs(self) -> frozenset[Need]:
        return frozenset({_LOGP, _REFERENCE} | ({_OLD} if self.gradient == "ratio" else set()))

    def terms(self, logp: Mapping[Need, Tensor], advantage_n: Tensor, tokens: Tokens) -> Tensor:
        """[n] estimates, differentiated through log π."""
        from prerl_components.objectives.token_losses.divergences import kl_estimate
        from prerl_components.ratios.log_ratios import ratio

        estimate_n = kl_estimate(logp[_LOGP], logp[_REFERENCE], self.estimator)
        if self.gradient == "plain":
            return estimate_n
        return ratio(logp[_LOGP], old_logp(logp, Conditional())) * estimate_n
