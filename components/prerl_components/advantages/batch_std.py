"""The group's mean taken off, and the batch's standard deviation divided by, as in Lite PPO."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from prerl_components.advantages.std_eps import STD_EPS
from prerl_spec.sdk import Advantage, Array, Batch, minus_mean


class BatchStd(Advantage):
    """A_i = (r_i − m)/(σ_batch + 1e-6), m the group's mean, σ_batch the unbiased std of all scored rewards of the step.

    σ_batch is that of the raw rewards, not of r − m: it also counts how groups differ in difficulty.
    """

    formula: ClassVar[str] = "(r − m)/(σ_batch + 1e-6)"
    source: ClassVar[str] = "Lite PPO, arXiv:2508.08221 v3, takeaway 3 and eq. 6"
    peers: ClassVar[Mapping[str, str]] = {"TRL": 'scale_rewards = "batch", ε 1e-4'}
    baseline_over = "group"
    shift = True
    scale = 0

    def advantage(self, batch: Batch) -> Array:
        """[S]; 0 in groups with fewer than two scored samples, whose rewards still count in σ_batch."""
        reward_S = batch.step.reward_S
        advantage_S = np.zeros(reward_S.shape)
        scored_S = ~np.isnan(reward_S)
        if scored_S.sum() < 2:
            return advantage_S
        std = np.std(reward_S[scored_S], ddof=1) + STD_EPS
        for mine, reward_s in batch.step.scored_groups():
            advantage_S[mine] = minus_mean(reward_s) / std
        return advantage_S
