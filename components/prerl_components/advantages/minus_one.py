"""Rewards minus one: −1 for every wrong sample."""

from typing import ClassVar, Literal

import numpy as np

from prerl_spec.sdk import Advantage, Array, Batch


class MinusOne(Advantage):
    """A_i = r_i − 1: 0 for right samples, −1 for wrong ones, all-wrong groups included."""

    formula: ClassVar[str] = "r − 1"
    source: ClassVar[str] = "the negative samples of NSR, arXiv:2506.01347, in its authors' code"
    sign: ClassVar[Literal["both", "positive", "negative"]] = "negative"

    def advantage(self, batch: Batch) -> Array:
        """[S]."""
        reward_S = batch.step.reward_S
        return np.where(np.isnan(reward_S), 0.0, reward_S - 1.0)
