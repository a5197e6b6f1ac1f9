"""Rewards minus what earlier steps have earned on average: a component that remembers two numbers."""

from typing import ClassVar

import numpy as np
from prerl_spec.sdk import Advantage, Array, Batch, State, StepRecord
from pydantic import Field


class MovingBaseline(Advantage):
    """A_i = r_i − b, b the average of earlier steps' mean rewards with weights decay^age; 0 in a phase's first step.

    It needs no groups. A step without a scored sample leaves b as it is.
    """

    formula: ClassVar[str] = "r − b, b = Σ_s decay^(t−1−s) m_s / Σ_s decay^(t−1−s), m_s the mean reward of step s < t"
    source: ClassVar[str] = "reinforcement comparison, Williams 1992, section 3"

    decay: float = Field(0.9, ge=0, lt=1, description="weight of a step's mean reward, one step later")

    def advantage(self, batch: Batch) -> Array:
        """[S]."""
        reward_S = batch.step.reward_S
        return np.where(np.isnan(reward_S), 0.0, reward_S - batch.state.get("baseline", 0.0))

    def initial(self) -> State:
        """No step seen: no numbers."""
        return {}

    def after(self, batch: Batch, record: StepRecord, state: State) -> State:
        """With this step's mean reward in the average."""
        reward_S = batch.step.reward_S
        scored_S = reward_S[~np.isnan(reward_S)]
        if not len(scored_S):
            return state
        # Averaged, not summed: the weight of the past is Σ decay^age, at first 0.
        past, weight = state.get("baseline", 0.0), state.get("weight", 0.0)
        assert isinstance(past, float)
        assert isinstance(weight, float)
        new = self.decay * weight + 1.0
        return {"baseline": past + (float(scored_S.mean()) - past) / new, "weight": new}
