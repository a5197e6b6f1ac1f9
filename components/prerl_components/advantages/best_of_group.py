"""The lead of the group's best sample: the policy gradient of the maximum reward of a group."""

from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np

from prerl_components.advantages.of_group import OfGroup
from prerl_spec.sdk import Array, without_rounding


class BestOfGroup(OfGroup):
    """A_i = max_j r_j − max_{j≠i} r_j: the best sample earns its lead over the second best, all others earn 0.

    With 0/1 rewards, the only right sample of a group earns 1, and groups with two right ones, or none, earn nothing. Not
    divided by the group's std, which would weigh groups by their number of samples.
    """

    formula: ClassVar[str] = "r₁ − r₂ for the best sample of the group, 0 for the others"
    source: ClassVar[str] = "inference-time objectives, arXiv:2503.19595; checked against verl"
    peers: ClassVar[Mapping[str, str]] = {"verl": "grpo_passk, which divides by the group's std + 1e-6 by default"}
    shift = True
    scale = 1
    sign: ClassVar[Literal["both", "positive", "negative"]] = "positive"

    def of_group(self, reward_s: Array) -> Array:
        """[s]; 0 where the best reward is earned twice."""
        lead_s = without_rounding(reward_s - np.sort(reward_s)[-2], reward_s)
        return np.maximum(lead_s, 0.0)
