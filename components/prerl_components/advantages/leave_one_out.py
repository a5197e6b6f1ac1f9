"""Rewards minus the mean of the group's other rewards, as in RLOO."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from prerl_spec.sdk import Advantage, Array, Batch, minus_mean


class LeaveOneOut(Advantage):
    """A_i = r_i − mean_{j≠i} r_j = G/(G−1) · (r_i − m), over the G scored samples of the group.

    The baseline does not depend on the sample, so that the gradient stays unbiased.
    """

    formula: ClassVar[str] = "r_i − mean_{j≠i} r_j = G/(G−1)·(r − m)"
    source: ClassVar[str] = "RLOO, arXiv:2402.14740; checked against verl, SkyRL and TRL"
    peers: ClassVar[Mapping[str, str]] = {"TRL": "RLOOTrainer", "verl": "rloo"}
    baseline_over = "group"
    shift = True
    scale = 1

    def advantage(self, batch: Batch) -> Array:
        """[S]; 0 in groups with fewer than two scored samples."""
        advantage_S = np.zeros(len(batch.step.samples))
        for mine, reward_s in batch.step.scored_groups():
            advantage_S[mine] = len(mine) / (len(mine) - 1) * minus_mean(reward_s)
        return advantage_S
