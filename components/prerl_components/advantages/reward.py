"""The reward itself, without a baseline."""

from typing import ClassVar, Literal

import numpy as np

from prerl_spec.sdk import Advantage, Array, Batch


class Reward(Advantage):
    """A_i = r_i. With 0/1 rewards only right samples are trained; their number sets the size of the step."""

    formula: ClassVar[str] = "r"
    source: ClassVar[str] = "REINFORCE, Williams 1992"
    scale = 1
    sign: ClassVar[Literal["both", "positive", "negative"]] = "positive"

    def advantage(self, batch: Batch) -> Array:
        """[S]."""
        return np.nan_to_num(batch.step.reward_S, nan=0.0)
