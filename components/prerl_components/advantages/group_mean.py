"""Rewards minus the group's mean."""

from collections.abc import Mapping
from typing import ClassVar

from prerl_components.advantages.of_group import OfGroup
from prerl_spec.sdk import Array, minus_mean


class GroupMean(OfGroup):
    """A_i = r_i − m, m the mean of the group's scored rewards: k right of G earn 1 − k/G each, wrong ones −k/G."""

    formula: ClassVar[str] = "r − m"
    source: ClassVar[str] = "Dr. GRPO, arXiv:2503.20783, §3.2; the pre-train space advantage of arXiv:2604.14142"
    peers: ClassVar[Mapping[str, str]] = {
        "TRL": 'scale_rewards = "none"',
        "verl": "grpo with norm_adv_by_std_in_grpo = False",
    }
    shift = True
    scale = 1

    def of_group(self, reward_s: Array) -> Array:
        """[s], in the order of the rewards."""
        return minus_mean(reward_s)
