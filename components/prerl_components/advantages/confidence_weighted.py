"""Wrong samples weighted by the confidence with which they were given, as in CW-NSR."""

from typing import ClassVar

import numpy as np
from pydantic import Field

from prerl_components.advantages.signed import Signed
from prerl_spec.sdk import Advantage, Array, Batch, Conditional, Need

_OLD = Need(Conditional(), "old")


class ConfidenceWeighted(Advantage):
    """A_i = −max(exp(mean_t log π_old(y_t | x, y_<t)), floor) for a wrong sample, +1 for a right one; see `signed`.

    The weight is the geometric mean of the response's token probabilities before the batch's first update. CW-NSR trains
    wrong samples only: `positive = 0`, as in the preset `cw_nsr`.
    """

    formula: ClassVar[str] = "wrong: −max(exp(mean_t log π_old), floor); right: +1"
    source: ClassVar[str] = "CW-NSR, arXiv:2605.07137; checked against its authors' code"
    shift = True
    scale = 0
    # Of two wrong samples with other scores, the more confident one earns less.
    monotone = False

    floor: float = Field(0.05, ge=0, le=1, description="least weight of a wrong sample")

    def reads(self) -> frozenset[Need]:
        return frozenset({_OLD})

    def advantage(self, batch: Batch) -> Array:
        """[S]; a sample without trained tokens has confidence 1."""
        tokens = batch.step.tokens
        logp_S = np.bincount(tokens.sample_N, weights=batch.known[_OLD], minlength=tokens.num_samples)
        confidence_S = np.exp(logp_S / np.maximum(tokens.length_S, 1))
        signed_S = Signed().advantage(batch)
        return np.where(signed_S < 0, signed_S * np.maximum(confidence_S, self.floor), signed_S)
