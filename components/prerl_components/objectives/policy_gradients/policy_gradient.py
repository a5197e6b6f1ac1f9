"""What every policy-gradient objective shares: ratios, clips, importance weights, and weights over scored samples.

A concrete objective says in which view responses are scored and what each sample earns. There is no critic here.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field

from prerl_components.objectives.arithmetic.aggregation import Aggregation, weigh
from prerl_components.objectives.policy_gradients.wiring_rules import (
    importance_cap_without_effect,
    ratio_settings_without_effect,
)
from prerl_spec.sdk import (
    Array,
    Attempt,
    Conditional,
    Conflict,
    Credit,
    Need,
    OnePartObjective,
    Outcome,
    Step,
    Tokens,
    View,
    Wiring,
)

if TYPE_CHECKING:
    from torch import Tensor


class Earned(NamedTuple):
    """What each of the S samples earns, and which of them the denominator counts."""

    advantage_S: Array
    mask_S: npt.NDArray[np.bool_]


class PolicyGradient(OnePartObjective):
    """L_t = max(−ρA, −clip(ρ, 1−ε₋, 1+ε₊)A) with ρ = π/π_old in the objective's view, times its weight, summed."""

    coefficient: float = Field(1.0, gt=0, description="multiplies the whole loss of this objective")
    aggregation: Aggregation = Field(
        "token_mean",
        description="token_mean: every trained token counts alike; sequence_mean: every sample counts alike; "
        "constant: the sum over tokens by samples x max_new_tokens",
    )
    clip_low: float = Field(0.2, ge=0, description="ε₋: below 1 − ε₋ the ratio of a sample with A < 0 gains no more")
    clip_high: float = Field(0.2, ge=0, description="ε₊: above 1 + ε₊ the ratio of a sample with A > 0 gains no more")
    dual_clip: Literal["off"] | Annotated[float, Field(gt=1)] = Field(
        "off", description="c: bounds the loss of a sample with A < 0 by −A·c"
    )
    importance: Literal["off", "truncate", "mask"] = Field(
        "off",
        description="correct for the gap between sampler and trainer by token weights π/π_sampler: cut at "
        "importance_cap, or set to 0 above it",
    )
    importance_cap: float = Field(2.0, gt=0, description="C: the largest importance weight")
    unparsable: Literal["wrong", "mask"] = Field(
        "wrong",
        description="train a response without a readable answer as a wrong one, or mask it: it then carries no "
        "weight but still counts in its group's mean",
    )

    @property
    @abstractmethod
    def view(self) -> View:
        """What stands before the response whose log-probability is differentiated."""

    @property
    @abstractmethod
    def min_group(self) -> int:
        """Attempts a prompt that the baseline needs."""

    @abstractmethod
    def earned(self, reward_S: Array, trainable_S: npt.NDArray[np.bool_], step: Step) -> Earned:
        """Advantages and mask of an update's samples. Unscored samples (NaN) are never trainable."""

    @property
    def uses_ratio(self) -> bool:
        return True

    def setting_behind(self, fact: str) -> str:
        return "importance" if fact == "sampler_logprobs" else "use"

    def consumes(self) -> frozenset[str]:
        sampler = {"logprobs[sampling]"} if self.importance != "off" else set()
        return frozenset({"reward[scalar]"} | sampler)

    def check(self, wiring: Wiring) -> Iterable[Conflict]:
        yield from ratio_settings_without_effect(wiring)
        yield from importance_cap_without_effect(wiring, self.importance != "off")

    def needs(self) -> frozenset[Need]:
        """Its view, now and before the batch's first update; for importance weights also how y was drawn, given x."""
        own = {Need(self.view, "policy"), Need(self.view, "old")}
        if self.importance == "off":
            return frozenset(own)
        return frozenset(own | {Need(Conditional(), "old"), Need(Conditional(), "sampler")})

    def credit(self, step: Step, known: Mapping[Need, Array]) -> Credit:
        """Weight = coefficient ÷ denominator over the mask, and 0 where the advantage is 0: such a sample has nothing
        to teach, but the denominator still counts it."""
        tokens, reward_S = step.tokens, step.reward_S
        earned = self.earned(reward_S, self._trainable(step), step)
        weight_N, denominator = weigh(self.aggregation, earned.mask_S, tokens, step.max_new_tokens)
        advantage_N = earned.advantage_S[tokens.sample_N]
        weight_N = np.where(advantage_N == 0.0, 0.0, self.coefficient * weight_N)
        if not weight_N.any():
            return Credit.nothing(tokens.num_tokens, denominator)
        return Credit(advantage_N, weight_N, denominator)

    def terms(self, logp: Mapping[Need, Tensor], advantage_n: Tensor, tokens: Tokens) -> Tensor:
        """[n] clipped losses, times importance weights where they are on."""
        from prerl_components.objectives.arithmetic.surrogates import clipped_surrogate, importance_weight

        loss_n = clipped_surrogate(
            logp[Need(self.view, "policy")],
            _before_update(logp, self.view),
            advantage_n,
            clip_low=self.clip_low,
            clip_high=self.clip_high,
            dual_clip=None if self.dual_clip == "off" else self.dual_clip,
        )
        if self.importance == "off":
            return loss_n
        # The weights undo how y was drawn, and y was drawn given x: never log P(y), whatever the loss's view.
        return loss_n * importance_weight(
            _before_update(logp, Conditional()),
            logp[Need(Conditional(), "sampler")],
            how=self.importance,
            cap=self.importance_cap,
        )

    def _trainable(self, step: Step) -> npt.NDArray[np.bool_]:
        """[S] scored, and not masked as unparsable."""
        return np.array([a.reward is not None and not self._masks(a) for a in step.samples], dtype=bool)

    def _masks(self, attempt: Attempt) -> bool:
        verdict = attempt.verdict
        return self.unparsable == "mask" and verdict is not None and verdict.outcome is Outcome.UNPARSABLE


def _before_update(logp: Mapping[Need, Tensor], view: View) -> Tensor:
    """log π_old in a view; with one update a batch nobody recomputes it, and it is the detached current one."""
    old = logp.get(Need(view, "old"))
    return logp[Need(view, "policy")].detach() if old is None else old
