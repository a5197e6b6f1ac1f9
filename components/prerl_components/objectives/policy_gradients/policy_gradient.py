"""The base class of policy-gradient objectives: ratios, clips, importance weights, and weights over scored samples.

A subclass defines the view in which responses are scored and the advantages. There is no critic.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field

from prerl_components.objectives.arithmetic.aggregation import Aggregation, token_weights
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


class Advantages(NamedTuple):
    """The advantage of each of the S samples, and the mask of those that the denominator counts."""

    advantage_S: Array
    mask_S: npt.NDArray[np.bool_]


class PolicyGradient(OnePartObjective):
    """L = Σ_t w_t · max(−ρA, −clip(ρ, 1−ε₋, 1+ε₊)A) with ρ = π/π_old in the objective's view."""

    coefficient: float = Field(1.0, gt=0, description="factor of this objective's loss")
    aggregation: Aggregation = Field(
        "token_mean",
        description="token_mean: equal weight per trained token; sequence_mean: equal weight per sample; "
        "constant: sum over tokens divided by samples x max_new_tokens",
    )
    clip_low: float = Field(0.2, ge=0, description="PPO lower clip ε₋: for A < 0, ratios below 1 − ε₋ get no gradient")
    clip_high: float = Field(0.2, ge=0, description="PPO upper clip ε₊: for A > 0, ratios above 1 + ε₊ get no gradient")
    dual_clip: Literal["off"] | Annotated[float, Field(gt=1)] = Field(
        "off", description="dual clip c: for A < 0, the loss is at most −A·c"
    )
    importance: Literal["off", "truncate", "mask"] = Field(
        "off",
        description="importance weights π/π_sampler per token, correcting the gap between sampler and trainer: "
        "truncate caps them at importance_cap, mask sets those above it to 0",
    )
    importance_cap: float = Field(2.0, gt=0, description="maximum importance weight C")
    unparsable: Literal["wrong", "mask"] = Field(
        "wrong",
        description="train a response without a parsable answer as wrong, or mask it: zero weight, but it still "
        "counts in its group's mean",
    )

    @property
    @abstractmethod
    def view(self) -> View:
        """The context in which the response's log-probability is differentiated."""

    @property
    @abstractmethod
    def min_group(self) -> int:
        """Attempts per prompt that the baseline needs."""

    @abstractmethod
    def advantages(self, reward_S: Array, trainable_S: npt.NDArray[np.bool_], step: Step) -> Advantages:
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
        """Current and old log-probabilities of its view; for importance weights also old and sampler's, given x."""
        own = {Need(self.view, "policy"), Need(self.view, "old")}
        if self.importance == "off":
            return frozenset(own)
        return frozenset(own | {Need(Conditional(), "old"), Need(Conditional(), "sampler")})

    def credit(self, step: Step, known: Mapping[Need, Array]) -> Credit:
        """Weight = coefficient ÷ denominator over the mask, and 0 where the advantage is 0: such a sample has no
        gradient, but the denominator still counts it."""
        tokens, reward_S = step.tokens, step.reward_S
        selected = self.advantages(reward_S, self._trainable(step), step)
        weight_N, denominator = token_weights(self.aggregation, selected.mask_S, tokens, step.max_new_tokens)
        advantage_N = selected.advantage_S[tokens.sample_N]
        weight_N = np.where(advantage_N == 0.0, 0.0, self.coefficient * weight_N)
        if not weight_N.any():
            return Credit.nothing(tokens.num_tokens, denominator)
        return Credit(advantage_N, weight_N, denominator)

    def terms(self, logp: Mapping[Need, Tensor], advantage_n: Tensor, tokens: Tokens) -> Tensor:
        """[n] clipped losses, times importance weights if enabled."""
        from prerl_components.objectives.arithmetic.surrogates import clipped_surrogate, importance_weight

        loss_n = clipped_surrogate(
            logp[Need(self.view, "policy")],
            _old_logp(logp, self.view),
            advantage_n,
            clip_low=self.clip_low,
            clip_high=self.clip_high,
            dual_clip=None if self.dual_clip == "off" else self.dual_clip,
        )
        if self.importance == "off":
            return loss_n
        # Importance weights correct for the sampling distribution, and y was sampled given x: never log P(y) here, in
        # any view of the loss.
        return loss_n * importance_weight(
            _old_logp(logp, Conditional()),
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


def _old_logp(logp: Mapping[Need, Tensor], view: View) -> Tensor:
    """log π_old in a view; with one update per batch it is not computed, and equals the detached current one."""
    old = logp.get(Need(view, "old"))
    return logp[Need(view, "policy")].detach() if old is None else old
