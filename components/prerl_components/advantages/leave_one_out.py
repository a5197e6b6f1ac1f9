"""Rewards minus the mean of the group's other rewards, as in RLOO."""

from collections.abc import Mapping
from typing import ClassVar

from prerl_components.advantages.of_group import OfGroup
from prerl_spec.sdk import Array, minus_mean


class LeaveOneOut(OfGroup):
    """A_i = r_i − mean_{j≠i} r_j = G/(G−1) · (r_i − m), over the G scored samples of the group.

    The baseline does not depend on the sample, so that the gradient stays unbiased.
    """

    formula: ClassVar[str] = "r_i − mean_{j≠i} r_j = G/(G−1)·(r − m)"
    source: ClassVar[str] = "RLOO, arXiv:2402.14740; checked against verl, SkyRL and TRL"
    peers: ClassVar[Mapping[str, str]] = {"TRL": "RLOOTrainer", "verl": "rloo"}
    shift = True
    scale = 1

    def of_group(self, reward_s: Array) -> Array:
        """[s], in the order of the rewards."""
        return len(reward_s) / (len(reward_s) - 1) * minus_mean(reward_s)
