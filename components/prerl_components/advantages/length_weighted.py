"""Rewards minus the baseline of least variance: the group's mean weighted by length, as in OPO."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from prerl_spec.sdk import Advantage, Array, Batch, minus_mean


class LengthWeighted(Advantage):
    """A_i = r_i − Σ_j l_j·r_j / Σ_j l_j over the group's scored samples, itself included, l its trained tokens.

    The baseline of least gradient variance where ‖∇ log π(y)‖² grows with the length; derived for exact on-policy
    training, which is one update per batch.
    """

    formula: ClassVar[str] = "r − Σ l·r / Σ l"
    source: ClassVar[str] = "OPO, arXiv:2505.23585 v2; checked against verl"
    peers: ClassVar[Mapping[str, str]] = {"verl": "opo"}
    baseline_over = "group"
    shift = True
    scale = 1

    def advantage(self, batch: Batch) -> Array:
        """[S]; 0 in groups with fewer than two scored samples."""
        advantage_S, length_S = np.zeros(len(batch.step.samples)), batch.step.tokens.length_S
        for mine, reward_s in batch.step.scored_groups():
            advantage_S[mine] = minus_mean(reward_s, length_S[mine])
        return advantage_S
