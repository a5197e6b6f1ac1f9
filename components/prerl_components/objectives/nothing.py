"""The null arm of a study: samples and verifies as the others do, and never changes the policy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from prerl_spec.sdk import Array, Credit, Need, OnePartObjective, Step, Tokens

if TYPE_CHECKING:
    from torch import Tensor


class Nothing(OnePartObjective):
    """Weight 0 for every token: batches are sampled, verified, filtered and measured, and no update is taken.

    It is wired as the others are (sampler, verifier, optimizer), so that an arm differs from it by the objective alone. It pays
    for what it samples, and its tokens count in every budget; no forward pass is made for it, and the optimizer is never
    stepped: no weight decay, no change of moments.
    """

    formula: ClassVar[str] = "0"
    trains: ClassVar[bool] = False
    metric_names = ()

    def consumes(self) -> frozenset[str]:
        return frozenset({"reward[scalar]"})

    def needs(self) -> frozenset[Need]:
        return frozenset()

    def credit(self, step: Step, known: Mapping[Need, Array]) -> Credit:
        return Credit.nothing(step.tokens.num_tokens, "none: nothing is trained")

    def terms(self, logp: Mapping[Need, Tensor], advantage_n: Tensor, tokens: Tokens) -> Tensor:
        """[n] zeros."""
        return 0.0 * advantage_n
