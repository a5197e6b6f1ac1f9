"""Rewards whitened over all tokens of the step, as in REINFORCE++."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from pydantic import Field

from prerl_components.advantages.std_eps import STD_EPS
from prerl_spec.sdk import Advantage, Array, Batch, minus_mean


class BatchWhitened(Advantage):
    """A_i = (x_i − mean)/(std + 1e-6) over the step's trained tokens, x = r, or r − m of the group with `baseline`.

    A response of l tokens counts l times in mean and (unbiased) std. With a baseline, groups with fewer than two scored
    samples have no x: they earn 0 and do not count; groups of equal rewards earn −mean/std, near 0 but not 0.
    """

    formula: ClassVar[str] = "(x − mean)/(std + 1e-6) over the step's tokens; x = r, or r − m"
    source: ClassVar[str] = "REINFORCE++, arXiv:2501.03262 v9, eqs 5–7; over tokens as in OpenRLHF and verl"
    peers: ClassVar[Mapping[str, str]] = {
        "OpenRLHF": "reinforce, reinforce_baseline (biased variance)",
        "verl": "reinforce_plus_plus, reinforce_plus_plus_baseline (1e-8 added to the variance)",
    }
    baseline_over = "batch"
    shift = True
    scale = 0

    baseline: bool = Field(
        False, description="subtract the group's mean reward first: REINFORCE++-baseline, which needs a group"
    )

    @property
    def min_group(self) -> int:
        return 2 if self.baseline else 1

    def advantage(self, batch: Batch) -> Array:
        """[S]; 0 where fewer than two tokens count."""
        step = batch.step
        value_S = step.reward_S
        if self.baseline:
            value_S = np.full(step.reward_S.shape, np.nan)
            for mine, reward_s in step.scored_groups():
                value_S[mine] = minus_mean(reward_s)
        scored = np.flatnonzero(~np.isnan(value_S))
        length_s, advantage_S = step.tokens.length_S[scored], np.zeros(value_S.shape)
        if length_s.sum() < 2:
            return advantage_S
        from_mean_s = minus_mean(value_S[scored], length_s)
        variance = (length_s * from_mean_s**2).sum() / (length_s.sum() - 1)
        advantage_S[scored] = from_mean_s / (np.sqrt(variance) + STD_EPS)
        return advantage_S
