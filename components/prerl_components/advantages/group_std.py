"""Rewards normalised within the group, as in GRPO."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from prerl_components.advantages.std_eps import STD_EPS
from prerl_spec.sdk import Advantage, Array, Batch, minus_mean


class GroupStd(Advantage):
    """A_i = (r_i − m)/(σ + 1e-6), m and σ the mean and the unbiased std of the group's scored rewards."""

    formula: ClassVar[str] = "(r − m)/(σ + 1e-6)"
    source: ClassVar[str] = "GRPO, arXiv:2402.03300, §4.1.2 (which prints no ε); ε as in verl"
    peers: ClassVar[Mapping[str, str]] = {"TRL": 'scale_rewards = "group", ε 1e-4', "verl": "grpo"}
    baseline_over = "group"
    shift = True
    scale = 0

    def advantage(self, batch: Batch) -> Array:
        """[S]; 0 in groups with fewer than two scored samples."""
        advantage_S = np.zeros(len(batch.step.samples))
        for mine, reward_s in batch.step.scored_groups():
            advantage_S[mine] = minus_mean(reward_s) / (np.std(reward_s, ddof=1) + STD_EPS)
        return advantage_S
