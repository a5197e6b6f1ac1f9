"""On-policy distillation: the policy's own responses, every token scored by a teacher."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field, SerializeAsAny

from prerl_components.objectives.aggregation import AGGREGATION_WORDS, Aggregation
from prerl_components.objectives.point import old_logp
from prerl_components.objectives.token_losses.token_loss import SampledTokenLoss
from prerl_spec.sdk import Code, Component, Conditional, Conflict, Need, Place, Slot, Teacher, Tokens, Wiring

if TYPE_CHECKING:
    from torch import Tensor

_LOGP = Need(Conditional())
_OLD = Need(Conditional(), "old")


class Distill(SampledTokenLoss):
    """−sg(A_t)·ρ_t with A_t = log π_T(y_t | x, y_<t) − log π(y_t | x, y_<t): its gradient is an unbiased estimate of that of
    the reverse KL(π ‖ π_T) of each token, over responses that the policy has sampled.

    With one update a batch ρ = 1. A is taken against the current policy, and costs no forward of it; both distributions
    are tempered as the sampler's. The teacher's tokens must be those of the policy, id for id.
    """

    version = 1
    metric_names = ("teacher_kl",)
    follows_neighbours: ClassVar[bool] = False
    formula: ClassVar[str] = (
        "−sg(A_t)·ρ_t, A_t = log π_T − log π: the reverse KL(π ‖ π_T) of a token, on sampled tokens"
    )
    source: ClassVar[str] = (
        "Thinking Machines, On-Policy Distillation (2025), tinker-cookbook's advantage −(log π − log π_T) without a "
        "discount; GKD, arXiv:2306.13649, with its reverse KL on sampled tokens instead of the whole vocabulary"
    )
    peers: ClassVar[Mapping[str, str]] = {
        "tinker-cookbook": "kl_penalty_coef = 1, kl_discount_factor = 0 (A against the sampler's log-probabilities)",
        "TRL": "GKDTrainer with beta = 1, lmbda = 1 (over the whole vocabulary)",
        "prime-rl": "teacher_tau (beside adv_tau, the policy gradient's factor)",
        "slime": "--use-opd, --opd-kl-coef (subtracted from any advantage)",
    }

    teacher: Annotated[SerializeAsAny[Component], Slot("model")] = Field(
        description="the model to learn from, frozen, with the policy's vocabulary"
    )
    aggregation: Aggregation = Field("token_mean", description=AGGREGATION_WORDS)

    @property
    def uses_ratio(self) -> bool:
        return True

    @property
    def scored_by(self) -> Need:
        """The teacher's log-probabilities."""
        return Need(Conditional(), Teacher.of(self.teacher))

    def check(self, wiring: Wiring) -> Iterable[Conflict]:
        if getattr(self.teacher, "adapter", None) is not None:
            yield Conflict(
                Code.NO_EFFECT,
                "the adapter of `teacher` has no effect: a new adapter adds nothing, and a teacher is not trained",
                (Place("self", "teacher"),),
                help="remove it, or name a merged model",
            )

    def needs(self) -> frozenset[Need]:
        return frozenset({_LOGP, _OLD, self.scored_by})

    def terms(self, logp: Mapping[Need, Tensor], advantage_n: Tensor, tokens: Tokens) -> Tensor:
        """[n] losses in nats; with one update a batch their mean estimates the reverse KL."""
        from prerl_components.objectives.token_losses.distillation import reverse_kl_loss

        return reverse_kl_loss(logp[_LOGP], old_logp(logp, Conditional()), logp[self.scored_by])

    def measures(self, logp: Mapping[Need, Tensor], advantage_n: Tensor, tokens: Tokens) -> Mapping[str, Tensor]:
        """[n] log π − log π_T: its mean estimates the reverse KL in nats."""
        return {"teacher_kl": logp[_LOGP] - logp[self.scored_by]}
