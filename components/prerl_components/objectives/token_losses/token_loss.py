"""The base classes of losses without an advantage: one term per token, aggregated over the trained tokens."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field

from prerl_components.objectives.aggregation import AGGREGATION_WORDS, Aggregation, token_weights
from prerl_spec.sdk import Array, Coefficient, Credit, Need, OnePart, Step, coefficient_at


class TokenLoss(OnePart):
    """A per-token loss without rewards: its weights are coefficient ÷ denominator on every token in its mask.

    A subclass has a setting `aggregation`.
    """

    metric_names: ClassVar[tuple[str, ...] | None] = ()
    hints: ClassVar[Mapping[str, str]] = {
        "coefficient": "a term of weight 0 is left out: remove it",
        "beta": "here `coefficient`",
    }

    coefficient: Coefficient = Field(1.0, description="factor of this objective's loss: a number, or a ramp")

    @property
    @abstractmethod
    def averages(self) -> Aggregation:
        """The aggregation that applies."""

    def mask(self, step: Step) -> npt.NDArray[np.bool_]:
        """[S] which samples count: by default the scored ones, since timeouts and errors are never trained on."""
        return ~np.isnan(step.reward_S)

    def credit(self, step: Step, known: Mapping[Need, Array]) -> Credit:
        tokens = step.tokens
        mask_N = self.mask(step)[tokens.sample_N]
        weight_N, denominator = token_weights(self.averages, mask_N, tokens, step.max_new_tokens)
        coefficient = coefficient_at(self.coefficient, step.index)
        return Credit(np.zeros(tokens.num_tokens), coefficient * weight_N, denominator)


class SampledTokenLoss(TokenLoss):
    """A token loss on sampled responses: a term to combine with a policy gradient.

    By default it averages as the policy gradients beside it do, so that one coefficient weighs both alike: DeepSeek's
    GRPO has its KL penalty inside the sequence mean.
    """

    version = 2
    """Version 1 averaged over tokens, whatever stood beside it."""
    follows_neighbours: ClassVar[bool] = True
    """Whether its aggregation may be "auto"; a loss with its own is a neighbour that others follow."""

    aggregation: Literal["auto", "token_mean", "sequence_mean", "constant"] = Field(
        "auto",
        description="auto: that of the policy-gradient terms beside it in a weighted_sum, token_mean where there is none; "
        + AGGREGATION_WORDS,
    )

    @property
    def scope(self) -> Literal["response"]:
        return "response"

    @property
    def is_undecided(self) -> bool:
        """Whether its aggregation is that of its neighbours."""
        return self.aggregation == "auto"

    @property
    def averages(self) -> Aggregation:
        return "token_mean" if self.aggregation == "auto" else self.aggregation

    def beside(self, aggregation: Aggregation) -> Self:
        """The term with its aggregation decided: its own if one is written, else this one."""
        return self if self.aggregation != "auto" else self.model_copy(update={"aggregation": aggregation})

    def consumes(self) -> frozenset[str]:
        return frozenset({"reward[scalar]"})

    def expansion(self) -> Mapping[str, str]:
        return {"aggregation": self.averages} if self.aggregation == "auto" else {}
