"""GRPO: policy gradient on log P(y|x) with rewards normalised within the group (DeepSeekMath, arXiv:2402.03300)."""

from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from prerl_components.objectives.arithmetic.advantages import group_std
from prerl_components.objectives.arithmetic.aggregation import Aggregation
from prerl_components.objectives.policy_gradients.policy_gradient import Advantages, PolicyGradient
from prerl_spec.sdk import Array, Conditional, Step


class Grpo(PolicyGradient):
    """Policy gradient on log P(y|x) with A = (r − mean)/(std + 1e-6) of the prompt's group.

    DeepSeek's sequence mean is the default; `token_mean` over the update and `clip_high = 0.28` are DAPO's. For a KL
    penalty to a reference model, combine it with `kl` in a `weighted_sum`.
    """

    advantage: Literal["group_std"] = Field(
        "group_std", description="(r − mean)/(std + 1e-6) over the scored attempts of a group, unbiased std"
    )
    aggregation: Aggregation = Field(
        "sequence_mean",
        description="sequence_mean: equal weight per sample; token_mean: equal weight per trained token; "
        "constant: sum over tokens divided by samples x max_new_tokens",
    )

    @property
    def view(self) -> Conditional:
        return Conditional()

    @property
    def min_group(self) -> int:
        return 2

    def advantages(self, reward_S: Array, trainable_S: npt.NDArray[np.bool_], step: Step) -> Advantages:
        return Advantages(group_std(reward_S, step.group_S), trainable_S)
