"""Rewards minus the group's mean, scaled up for the groups that have no signal, as in GPG."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from prerl_spec.sdk import Advantage, Array, Batch, minus_mean


class NonzeroScaled(Advantage):
    """A_i = α·(r_i − m), α = B/(B − M) over the step: B scored samples, M of them in groups of equal rewards.

    A group with one scored sample has no signal either. Without any signal every A is 0.
    """

    formula: ClassVar[str] = "α·(r − m), α = samples / samples in groups with signal"
    source: ClassVar[str] = "GPG, arXiv:2504.02546 v4, eqs 6–8, with F_norm = 1"
    peers: ClassVar[Mapping[str, str]] = {"verl": "gpg, with α = samples / samples of reward ≠ 0: another number"}
    baseline_over = "group"
    shift = True
    scale = 1

    def advantage(self, batch: Batch) -> Array:
        """[S]; 0 in groups with fewer than two scored samples."""
        reward_S = batch.step.reward_S
        advantage_S, num_with_signal = np.zeros(reward_S.shape), 0
        for mine, reward_s in batch.step.scored_groups():
            advantage_S[mine] = minus_mean(reward_s)
            num_with_signal += len(mine) if advantage_S[mine].any() else 0
        num_scored = int((~np.isnan(reward_S)).sum())
        return advantage_S * (num_scored / max(num_with_signal, 1))
