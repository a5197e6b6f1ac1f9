"""Rewards normalised within the group, as in GRPO."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from prerl_components.advantages.of_group import OfGroup
from prerl_components.advantages.std_eps import STD_EPS
from prerl_spec.sdk import Array, minus_mean


class GroupStd(OfGroup):
    """A_i = (r_i − m)/(σ + 1e-6), m and σ the mean and the unbiased std of the group's scored rewards."""

    formula: ClassVar[str] = "(r − m)/(σ + 1e-6)"
    source: ClassVar[str] = "GRPO, arXiv:2402.03300, §4.1.2 (which prints no ε); ε as in verl"
    peers: ClassVar[Mapping[str, str]] = {"TRL": 'scale_rewards = "group", ε 1e-4', "verl": "grpo"}
    shift = True
    scale = 0

    def of_group(self, reward_s: Array) -> Array:
        """[s], in the order of the rewards."""
        return minus_mean(reward_s) / (np.std(reward_s, ddof=1) + STD_EPS)
