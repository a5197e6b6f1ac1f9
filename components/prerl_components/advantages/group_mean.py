"""Rewards minus the group's mean."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from prerl_spec.sdk import Advantage, Array, Batch, minus_mean


class GroupMean(Advantage):
    """A_i = r_i − m, m the mean of the group's scored rewards: k right of G earn 1 − k/G each, wrong ones −k/G."""

    formula: ClassVar[str] = "r − m"
    source: ClassVar[str] = "Dr. GRPO, arXiv:2503.20783, §3.2; the pre-train space advantage of arXiv:2604.14142"
    peers: ClassVar[Mapping[str, str]] = {
        "TRL": 'scale_rewards = "none"',
        "verl": "grpo with norm_adv_by_std_in_grpo = False",
    }
    baseline_over = "group"
    shift = True
    scale = 1

    def advantage(self, batch: Batch) -> Array:
        """[S]; 0 in groups with fewer than two scored samples."""
        advantage_S = np.zeros(len(batch.step.samples))
        for mine, reward_s in batch.step.scored_groups():
            advantage_S[mine] = minus_mean(reward_s)
        return advantage_S
