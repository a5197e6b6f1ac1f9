"""Rewards relative to the group's mean: maximum likelihood in place of expected reward."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from prerl_spec.sdk import Advantage, Array, Batch, minus_mean


class MaxRl(Advantage):
    """A_i = (r_i − m)/m, 0 where m ≤ 0: with K right of G, right ones earn (G−K)/K and wrong ones −1.

    Unbiased for the gradient of Σ_{k<G} of the series log p = −Σ_k (1−p)^k / k. Meant for 0/1 rewards: where reward terms
    make a group's mean negative, the quotient would turn the signs, so that the group earns 0.
    """

    formula: ClassVar[str] = "(r − m)/m; 0 where m ≤ 0"
    source: ClassVar[str] = "MaxRL, arXiv:2602.02710 v3, Algorithm 1 and Theorem 5"
    peers: ClassVar[Mapping[str, str]] = {"SkyRL": "maxrl, which adds 1e-6 to m"}
    baseline_over = "group"
    scale = 0

    def advantage(self, batch: Batch) -> Array:
        """[S]; 0 in groups with fewer than two scored samples."""
        advantage_S = np.zeros(len(batch.step.samples))
        for mine, reward_s in batch.step.scored_groups():
            if (mean := reward_s.mean()) > 0:
                advantage_S[mine] = minus_mean(reward_s) / mean
        return advantage_S
