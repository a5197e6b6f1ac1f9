"""Rewards relative to the group's mean: maximum likelihood in place of expected reward."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from prerl_components.advantages.of_group import OfGroup
from prerl_spec.sdk import Array, minus_mean


class MaxRl(OfGroup):
    """A_i = (r_i − m)/m, 0 where m ≤ 0: with K right of G, right ones earn (G−K)/K and wrong ones −1.

    Unbiased for the gradient of Σ_{k<G} of the series log p = −Σ_k (1−p)^k / k. Meant for 0/1 rewards: where reward terms
    make a group's mean negative, the quotient would turn the signs, so that the group earns 0.
    """

    formula: ClassVar[str] = "(r − m)/m; 0 where m ≤ 0"
    source: ClassVar[str] = "MaxRL, arXiv:2602.02710 v3, Algorithm 1 and Theorem 5"
    peers: ClassVar[Mapping[str, str]] = {"SkyRL": "maxrl, which adds 1e-6 to m"}
    scale = 0

    def of_group(self, reward_s: Array) -> Array:
        """[s]; 0 where m ≤ 0."""
        mean = float(reward_s.mean())
        return minus_mean(reward_s) / mean if mean > 0 else np.zeros_like(reward_s)
