"""The base classes of losses without an advantage: one term per token, aggregated over the trained tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from prerl_components.objectives.aggregation import AGGREGATION_WORDS, Aggregation, token_weights
from prerl_spec.sdk import Array, Coefficient, Credit, Need, OnePart, Step, coefficient_at


class TokenLoss(OnePart):
    """A per-token loss without rewards: its weights are coefficient ÷ denominator on every token in its mask."""

    coefficient: Coefficient = Field(1.0, description="factor of this objective's loss: a number, or a ramp")
    aggregation: Aggregation = Field("token_mean", description=AGGREGATION_WORDS)

    def mask(self, step: Step) -> npt.NDArray[np.bool_]:
        """[S] which samples count: by default the scored ones, since timeouts and errors are never trained on."""
        return ~np.isnan(step.reward_S)

    def credit(self, step: Step, known: Mapping[Need, Array]) -> Credit:
        tokens = step.tokens
        mask_N = self.mask(step)[tokens.sample_N]
        weight_N, denominator = token_weights(self.aggregation, mask_N, tokens, step.max_new_tokens)
        coefficient = coefficient_at(self.coefficient, step.index)
        return Credit(np.zeros(tokens.num_tokens), coefficient * weight_N, denominator)


class SampledTokenLoss(TokenLoss):
    """A token loss on sampled responses: a term to combine with a policy gradient."""

    @property
    def scope(self) -> Literal["response"]:
        return "response"

    def consumes(self) -> frozenset[str]:
        return frozenset({"reward[scalar]"})
