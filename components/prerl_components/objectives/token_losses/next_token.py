"""Language modelling: pre-training on documents, or supervised fine-tuning on answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from prerl_components.objectives.aggregation import AGGREGATION_WORDS, Aggregation
from prerl_components.objectives.token_losses.token_loss import TokenLoss
from prerl_spec.sdk import Code, Conditional, Conflict, Need, Place, Step, Tokens, Wiring

if TYPE_CHECKING:
    from torch import Tensor

_LOGP = Need(Conditional(), "policy")


class NextToken(TokenLoss):
    """−log π(y_t | context, y_<t) on the tokens of documents, without rollouts or rewards."""

    uses_rollouts: ClassVar[bool] = False

    aggregation: Aggregation = Field("token_mean", description=AGGREGATION_WORDS)
    scope: Literal["response", "all"] = Field(
        "response", description="response: train the document after its question; all: train the question as well"
    )

    @property
    def averages(self) -> Aggregation:
        return self.aggregation

    def check(self, wiring: Wiring) -> Iterable[Conflict]:
        if self.aggregation == "constant":
            yield Conflict(
                Code.CONTRADICTION,
                'aggregation "constant" divides by the sampler\'s max_new_tokens, and documents are not sampled',
                (Place("self", "use"), Place("self", "aggregation")),
                help='use aggregation = "token_mean" or "sequence_mean"',
            )

    def needs(self) -> frozenset[Need]:
        return frozenset({_LOGP})

    def mask(self, step: Step) -> npt.NDArray[np.bool_]:
        """[S] every document."""
        return np.ones(len(step.samples), dtype=bool)

    def terms(self, logp: Mapping[Need, Tensor], advantage_n: Tensor, tokens: Tokens) -> Tensor:
        """[n] cross-entropies, in nats."""
        return -logp[_LOGP]
