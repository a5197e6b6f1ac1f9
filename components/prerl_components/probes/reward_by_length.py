"""How reward hangs on length: whether longer responses earn more, or a run grows them for nothing."""

from collections.abc import Mapping

import numpy as np
from pydantic import Field

from prerl_spec.sdk import Component, Step


class RewardByLength(Component):
    """Mean reward of a step's scored responses by length, in bins of even size from the shortest, and the correlation.

    Bins hold successive responses in order of length (ties in order of the step). The correlation is Pearson's, of reward
    and tokens; it is left out where rewards or lengths are all equal.
    """

    kind = "probe"
    metric_names = ("reward_by_length_*",)

    bins: int = Field(4, ge=2, description="number of bins")
    every: int = Field(1, ge=1, description="steps between measurements")

    def measure(self, step: Step) -> Mapping[str, float]:
        """`reward_by_length_1` (the shortest) … and `reward_by_length_correlation`; bins of an emptier step are left out."""
        scored = [(len(a.tokens), a.reward) for a in step.samples if a.reward is not None]
        if len(scored) < self.bins:
            return {}
        length_s = np.array([length for length, _ in scored], dtype=np.float64)
        reward_s = np.array([reward for _, reward in scored], dtype=np.float64)
        order = np.argsort(length_s, kind="stable")
        found = {
            f"reward_by_length_{number}": float(reward_s[inside].mean())
            for number, inside in enumerate(np.array_split(order, self.bins), 1)
        }
        if np.ptp(length_s) > 0 and np.ptp(reward_s) > 0:
            found["reward_by_length_correlation"] = float(np.corrcoef(length_s, reward_s)[0, 1])
        return found
