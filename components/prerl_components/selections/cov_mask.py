"""Clip-Cov: a few of the tokens that would lower the entropy most lose their gradient.

KL-Cov, its sibling, is not a selection: it adds β·|log π − log π_old| to the loss of its tokens, and is not built.
"""

import math
from collections.abc import Iterable, Mapping
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from prerl_components.selections.lots import lots
from prerl_spec.sdk import Array, Batch, Code, Conditional, Conflict, Need, Place, Selection, Wiring

_OLD = Need(Conditional(), "old")


class CovMask(Selection):
    """Of the tokens with low ≤ cov_t ≤ high, ⌊share·N⌋ drawn by lot are dropped.

    cov_t = (log π_old − mean log π_old)·(A_t − mean A), given the question in every view; means and N are over the step's
    tokens with A ≠ 0. What is dropped still counts in the denominator, as in the paper. The lot is a function of the
    step, so that a run can be repeated.
    """

    formula: ClassVar[str] = "drops ⌊share·N⌋ random tokens of low ≤ (log π_old − mean)·(A − mean A) ≤ high"
    source: ClassVar[str] = "Clip-Cov, arXiv:2505.22617, eqs. 10–12"
    peers: ClassVar[Mapping[str, str]] = {
        "verl": 'loss_mode "clip_cov": clip_cov_ratio 0.0002, clip_cov_lb 1, clip_cov_ub 5',
        "SkyRL": "clip_cov",
    }
    unlike: ClassVar[Mapping[str, str]] = {
        "use": "covariances are those of the policy before the batch, in the paper and in verl of the current one (the same "
        "at the first update); verl drops at least one token",
    }
    in_denominator: ClassVar[bool] = True

    share: float = Field(2e-4, gt=0, le=1, description="share of the tokens with A ≠ 0 that is dropped")
    low: float = Field(1.0, description="least covariance of a token that may be dropped")
    high: float = Field(5.0, description="largest covariance of a token that may be dropped")

    def check(self, wiring: Wiring) -> Iterable[Conflict]:
        if self.low >= self.high:
            yield Conflict(
                Code.CONTRADICTION,
                f"low = {self.low:g} is not below high = {self.high:g}: no token would be dropped",
                (Place("self", "low"), Place("self", "high")),
                help="write a low below high",
            )

    def reads(self) -> frozenset[Need]:
        return frozenset({_OLD})

    def keep(self, batch: Batch, advantage_N: Array) -> npt.NDArray[np.bool_]:
        """[N]."""
        ranked_N, keep_N = advantage_N != 0, np.ones(advantage_N.shape, dtype=bool)
        num_dropped = int(self.share * ranked_N.sum())
        if num_dropped == 0:
            return keep_N
        logp_N = batch.known[_OLD]
        cov_N = (logp_N - _mean(logp_N[ranked_N])) * (advantage_N - _mean(advantage_N[ranked_N]))
        may_drop = np.flatnonzero(ranked_N & (cov_N >= self.low) & (cov_N <= self.high))
        lot_n = lots(batch.step)[may_drop]
        if num_dropped < len(lot_n):
            # Equal responses share their lots, and are dropped together: no order of attempts may decide between them.
            may_drop = may_drop[lot_n <= np.partition(lot_n, num_dropped - 1)[num_dropped - 1]]
        keep_N[may_drop] = False
        return keep_N


def _mean(value_n: Array) -> float:
    """Summed exactly: the choice must not depend on the order of groups and attempts."""
    return math.fsum(value_n.tolist()) / len(value_n)
