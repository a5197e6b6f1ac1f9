"""Only the tokens where the policy is least certain are trained."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from prerl_spec.sdk import Array, Batch, Conditional, Need, Selection

_ENTROPY = Need(Conditional(), "old", entropy=True)


class TopEntropy(Selection):
    """1[H_t ≥ h], h the (1 − share) quantile of the entropies of the step's tokens with A ≠ 0.

    H_t is the entropy of π_old(· | x, y_<t), given the question in every view: that of the policy before the batch. Tokens
    at the threshold are kept; what is dropped leaves the denominator too, as in the paper.
    """

    formula: ClassVar[str] = "1[H_t ≥ h], h: the (1 − share) quantile of H over the tokens with A ≠ 0"
    source: ClassVar[str] = "arXiv:2506.01939, eq. 6"
    peers: ClassVar[Mapping[str, str]] = {
        "TRL": "top_entropy_quantile (1.0, off, unless set): entropies of the current policy, quantile of a micro-batch"
    }
    unlike: ClassVar[Mapping[str, str]] = {
        "use": "tokens that are dropped leave the denominator, as in the paper: TRL still divides by all tokens",
    }
    in_denominator: ClassVar[bool] = False

    share: float = Field(0.2, gt=0, le=1, description="share of the tokens with A ≠ 0 that is trained")

    def reads(self) -> frozenset[Need]:
        return frozenset({_ENTROPY})

    def keep(self, batch: Batch, advantage_N: Array) -> npt.NDArray[np.bool_]:
        """[N]."""
        entropy_N, ranked_N = batch.known[_ENTROPY], advantage_N != 0
        if not ranked_N.any():
            return np.ones(entropy_N.shape, dtype=bool)
        return np.asarray(entropy_N >= np.quantile(entropy_N[ranked_N], 1 - self.share))
