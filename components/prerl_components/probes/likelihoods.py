"""Objectives that probes differentiate: the log-likelihood of single responses, and the reward-weighted one of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from prerl_components.advantages.group_mean import GroupMean
from prerl_components.objectives.point import Point
from prerl_components.surrogates.plain import Plain
from prerl_spec.sdk import Array, Batch, Conditional, Credit, Marginal, Need, OnePartObjective, Step, Tokens

if TYPE_CHECKING:
    from torch import Tensor


class LogLikelihood(OnePartObjective):
    """Σ_i w_i Σ_t log π(y_t) in one view: its gradient over the sample i alone is w_i ∇log P(y_i)."""

    view: Conditional | Marginal = Field(description="the context in which the responses are scored")
    length: Literal["mean", "sum"] = Field("mean", description="mean: w_i = 1/T_i, per token; sum: w_i = 1")

    def needs(self) -> frozenset[Need]:
        return frozenset({Need(self.view)})

    def credit(self, step: Step, known: Mapping[Need, Array]) -> Credit:
        """Advantage 1; the weight of a token is w_i of its sample."""
        length_N = step.tokens.length_S[step.tokens.sample_N].astype(np.float64)
        weight_N = 1.0 / length_N if self.length == "mean" else np.ones_like(length_N)
        return Credit(np.ones_like(length_N), weight_N, "tokens of the sample" if self.length == "mean" else "1")

    def terms(self, logp: Mapping[Need, Tensor], advantage_n: Tensor, tokens: Tokens) -> Tensor:
        """[n] A·log π: a likelihood to be raised, not a loss."""
        return advantage_n * logp[Need(self.view)]


class RewardedLikelihood(LogLikelihood):
    """(1/N) Σ_i A_i Σ_t log π(y_t) with A = r − mean_group(r): the direction of a plain policy gradient in one view
    (arXiv:2604.14142, eqs. 1 and 2, with the group's mean as the baseline)."""

    def credit(self, step: Step, known: Mapping[Need, Array]) -> Credit:
        """Weight 1/N over the scored tokens, 0 where A is 0 (unscored, or a group of equal rewards)."""
        point = Point(self.view, GroupMean(), Plain(), aggregation="token_mean")
        (credit,) = point.credits(Batch(step), [step])
        return credit
