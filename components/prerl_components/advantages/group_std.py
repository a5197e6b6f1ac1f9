"""Rewards normalised within the group, as in GRPO."""

from typing import ClassVar

import numpy as np

from prerl_components.advantages.grouping import from_mean, scored_groups
from prerl_spec.sdk import Advantage, Array, Batch

STD_EPS = 1e-6
"""Added to the group's standard deviation, as in the authors' code and in verl; TRL adds 1e-4."""


class GroupStd(Advantage):
    """A_i = (r_i − m)/(σ + 1e-6), m and σ the mean and the unbiased std of the group's scored rewards."""

    formula: ClassVar[str] = "(r − m)/(σ + 1e-6)"
    source: ClassVar[str] = "GRPO, arXiv:2402.03300"
    baseline = "group"
    shift = True
    scale = 0

    def advantage(self, batch: Batch) -> Array:
        """[S]; 0 in groups with fewer than two scored samples."""
        advantage_S = np.zeros(len(batch.step.samples))
        for mine, reward_s in scored_groups(batch.step):
            advantage_S[mine] = from_mean(reward_s) / (np.std(reward_s, ddof=1) + STD_EPS)
        return advantage_S
