"""Drops groups whose rewards are too much alike to teach anything."""

import math
from typing import ClassVar

from pydantic import Field

from prerl_spec.sdk import Component, Group


class RewardSpread(Component):
    """Keeps groups with σ ≥ least, the unbiased standard deviation of their scored rewards; 0 for fewer than two.

    The σ that `group_std` divides by, and RAGEN's measure of a group's uncertainty (arXiv:2504.20073, which keeps the share
    of groups with the largest; here it is a bound, so that a group's fate does not hang on the others). Unlike
    `mixed_groups` it sees the whole reward: graded scores, and the terms of `rewards`, which can spread a group that is all
    wrong. For 0/1 rewards, k right of G: σ² = k(G − k) / (G(G − 1)).
    """

    kind = "filter"
    formula: ClassVar[str] = "σ ≥ least"
    source: ClassVar[str] = "StarPO-S, arXiv:2504.20073, there the share of groups with the largest σ"
    refill_rounds: ClassVar[int] = 0
    """Dropped groups are not replaced, except in the rounds of a filter beside it that has some."""

    least: float = Field(gt=0, description="least standard deviation of the rewards in a kept group")

    def consumes(self) -> frozenset[str]:
        return frozenset({"reward[scalar]"})

    def keep(self, group: Group) -> bool:
        rewards = sorted(a.reward for a in group.attempts if a.reward is not None)
        if len(rewards) < 2:
            return False
        mean = sum(rewards) / len(rewards)
        variance = sum((r - mean) ** 2 for r in rewards) / (len(rewards) - 1)
        return math.sqrt(variance) >= self.least
