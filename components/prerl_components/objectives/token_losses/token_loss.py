"""The base classes of losses without an advantage: one term per token, aggregated over the trained tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from prerl_components.objectives.arithmetic.aggregation import Aggregation, token_weights
from prerl_spec.sdk import Array, Credit, Need, OnePart, Step


class TokenLoss(OnePart):
    """A per-token loss without rewards: its weights are coefficient ÷ denominator on every token in its mask."""

    coefficient: float = Field(1.0, gt=0, description="factor of this objective's loss")
    aggregation: Aggregation = Field(
        "token_mean",
        description="token_mean: equal weight per trained token; sequence_mean: equal weight per sample; "
        "constant: sum over tokens divided by samples x max_new_tokens",
    )

    def mask(self, step: Step) -> npt.NDArray[np.bool_]:
        """[S] which samples count: by default the scored ones, since timeouts and errors are never trained on."""
        return ~np.isnan(step.reward_S)

    def credit(self, step: Step, known: Mapping[Need, Array]) -> Credit:
        tokens = step.tokens
        weight_N, denominator = token_weights(self.aggregation, self.mask(step), tokens, step.max_new_tokens)
        return Credit(np.zeros(tokens.num_tokens), self.coefficient * weight_N, denominator)


class SampledTokenLoss(TokenLoss):
    """A token loss on sampled responses: a term to combine with a policy gradient."""

    @property
    def scope(self) -> Literal["response"]:
        return "response"

    def consumes(self) -> frozenset[str]:
        return frozenset({"reward[scalar]"})
