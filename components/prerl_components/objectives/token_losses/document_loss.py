"""The base class of losses on documents: no rollouts, no rewards, one term per token."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from prerl_components.objectives.aggregation import AGGREGATION_WORDS, Aggregation
from prerl_components.objectives.token_losses.token_loss import TokenLoss
from prerl_spec.sdk import Code, Conflict, Place, Step, Wiring


class DocumentLoss(TokenLoss):
    """A loss on the tokens of documents; every document counts."""

    uses_rollouts: ClassVar[bool] = False

    aggregation: Aggregation = Field("token_mean", description=AGGREGATION_WORDS)

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

    def mask(self, step: Step) -> npt.NDArray[np.bool_]:
        """[S] every document."""
        return np.ones(len(step.samples), dtype=bool)
