"""A policy-gradient objective as a point of a product: view × advantage × selection × surrogate × correction × aggregation.

`policy_gradient` lets a spec choose every part; a preset is a name for some of the points.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from prerl_components.objectives.aggregation import Aggregation, token_weights
from prerl_components.objectives.centring import centred
from prerl_spec.sdk import (
    Advantage,
    Array,
    Attempt,
    Batch,
    Component,
    Conditional,
    Correction,
    Credit,
    Need,
    Selection,
    Step,
    Surrogate,
    Tokens,
    View,
    coefficient_at,
)

if TYPE_CHECKING:
    from torch import Tensor

Unparsable = Literal["wrong", "mask"]

_OLD, _SAMPLER = Need(Conditional(), "old"), Need(Conditional(), "sampler")


@dataclass(frozen=True)
class Point:
    """L = Σ_t coefficient · mask_t / denominator · correction_t · surrogate(log π, log π_old, A_t), in one view.

    `positive` and `negative` scale the advantages by their sign; 0 deselects those samples: then only the samples of
    the other sign are trained, and counted in the denominator. `center` subtracts the group's weighted mean advantage
    after that selection. Unscored samples have no weight and are not counted.
    """

    view: View
    advantage: Advantage
    surrogate: Surrogate
    positive: float = 1.0
    negative: float = 1.0
    selection: tuple[Selection, ...] = ()
    correction: Correction | None = None
    aggregation: Aggregation = "token_mean"
    coefficient: float | Component = 1.0
    unparsable: Unparsable = "wrong"
    center: bool = False

    def in_words(self) -> dict[str, str]:
        """The parts by name, those that change nothing left out."""
        sign = {"positive": self.positive, "negative": self.negative}
        found = {"view": _named(self.view), "advantage": _named(self.advantage)}
        found |= {name: f"{factor:g}" for name, factor in sign.items() if factor != 1}
        if self.center:
            found["center"] = "group"
        if self.selection:
            found["selection"] = " and ".join(map(_named, self.selection))
        found["surrogate"] = _named(self.surrogate)
        if self.correction is not None:
            found["correction"] = _named(self.correction)
        return {**found, "aggregation": self.aggregation}

    @property
    def min_group(self) -> int:
        return max(self.advantage.min_group, 2 if self.center else 1)

    def needs(self) -> frozenset[Need]:
        """Current log-probabilities of its view; old ones for a ratio; for a correction the trainer's old and the
        sampler's, given the question."""
        own = {Need(self.view, "policy")} | ({Need(self.view, "old")} if self.surrogate.uses_ratio else set())
        correcting = {_OLD, _SAMPLER} if self.correction is not None else set()
        return frozenset(own | correcting | self.surrogate.needs(self.view))

    def reads(self) -> frozenset[Need]:
        return self.advantage.reads().union(*(selection.reads() for selection in self.selection))

    def credits(self, batch: Batch, updates: Sequence[Step]) -> list[Credit]:
        """Advantages once, over the whole batch; weights and denominators over each update.

        A token's weight is coefficient ÷ denominator over the mask, and 0 where its advantage is 0: it has no gradient
        (unless the surrogate says so with `trains_zero`), but the denominator still counts it.
        """
        whole = self._earned(batch)
        return [self._credit(update, whole.of(mine)) for mine, update, _ in batch.split(updates)]

    def _earned(self, batch: Batch) -> _Earned:
        step, tokens = batch.step, batch.step.tokens
        trainable_S = np.array([a.reward is not None and not self._masks(a) for a in step.samples], dtype=bool)
        earned = self.advantage.advantage(batch.of_part("advantage", self.advantage.reads()))
        earned_N = earned if self.advantage.per == "token" else earned[tokens.sample_N]
        advantage_N = earned_N * np.where(earned_N > 0, self.positive, self.negative)
        trainable_N = trainable_S[tokens.sample_N]
        counted_N = trainable_N & self._selected(earned_N)
        if self.center:
            # A sample that was not selected has advantage 0 by now, and enters the mean with it.
            weight_N, _ = token_weights(self.aggregation, trainable_N, tokens, step.max_new_tokens)
            advantage_N, counted_N = centred(advantage_N, weight_N, step), trainable_N
        # A selection ranks what may be trained: masked and unscored tokens reach it with advantage 0.
        ranked_N = np.where(counted_N, advantage_N, 0.0)
        kept_N = counted_N
        for number, selection in enumerate(self.selection):
            seen = batch.of_part(f"selection[{number}]", selection.reads())
            keeps_N = selection.keep(seen, ranked_N)
            kept_N = kept_N & keeps_N
            if not selection.in_denominator:
                counted_N = counted_N & keeps_N
        return _Earned(advantage_N, ranked_N != 0.0, counted_N, kept_N)

    def _selected(self, earned_N: Array) -> npt.NDArray[np.bool_]:
        if self.positive > 0 and self.negative > 0:
            return np.ones(earned_N.shape, dtype=bool)
        return (earned_N > 0) & (self.positive > 0) | (earned_N < 0) & (self.negative > 0)

    def _credit(self, update: Step, earned: _Earned) -> Credit:
        tokens = update.tokens
        weight_N, denominator = token_weights(self.aggregation, earned.counted_N, tokens, update.max_new_tokens)
        coefficient = coefficient_at(self.coefficient, update.index)
        has_gradient_N = (earned.advantage_N != 0.0) | self.surrogate.trains_zero
        weight_N = np.where(earned.kept_N & has_gradient_N, coefficient * weight_N, 0.0)
        signal_N = earned.signal_N
        shares = (
            {"selected": (float((earned.kept_N & signal_N).sum()), float(signal_N.sum()))} if self.selection else {}
        )
        if not weight_N.any():
            return replace(Credit.nothing(tokens.num_tokens, denominator), measures=shares)
        return Credit(earned.advantage_N, weight_N, denominator, shares)

    def terms(self, logp: Mapping[Need, Tensor], advantage_n: Tensor, tokens: Tokens) -> Tensor:
        """[n] surrogate losses, times the correction's weights."""
        policy_n, old_n = logp[Need(self.view, "policy")], old_logp(logp, self.view)
        loss_n = self.surrogate.loss(policy_n, old_n, advantage_n, tokens, logp)
        if self.correction is None:
            return loss_n
        # A correction is for the sampling distribution, and y was sampled given x: never log P(y) here, in any view.
        trainer_n = old_logp(logp, Conditional())
        return loss_n * self.correction.weight(trainer_n, logp[_SAMPLER], advantage_n, tokens).detach()

    def measures(self, logp: Mapping[Need, Tensor], advantage_n: Tensor, tokens: Tokens) -> dict[str, Tensor]:
        """[n] by metric: what bounds and corrections do, where they can act (a ratio differs from 1 only with several
        updates a batch, where old log-probabilities are computed)."""
        from prerl_components.ratios.log_ratios import log_ratio

        found: dict[str, Tensor] = {}
        if self.surrogate.uses_ratio and Need(self.view, "old") in logp:
            policy_n, old_n = logp[Need(self.view, "policy")], logp[Need(self.view, "old")]
            bounded_n = self.surrogate.bounded(policy_n, old_n, advantage_n, tokens, logp)
            log_rho_n = log_ratio(policy_n, old_n)
            found |= {
                "clip_fraction": bounded_n,
                "clip_fraction_positive": bounded_n & (advantage_n > 0),
                "clip_fraction_negative": bounded_n & (advantage_n < 0),
                "kl_old_new": log_rho_n.expm1() - log_rho_n,
            }
        if self.correction is not None:
            trainer_n, sampler_n = old_logp(logp, Conditional()), logp[_SAMPLER]
            weight_n = self.correction.weight(trainer_n, sampler_n, advantage_n, tokens)
            found |= {
                "correction_weight": weight_n,
                "correction_bounded": weight_n != self.correction.ratio(trainer_n, sampler_n, tokens),
            }
        return found

    def _masks(self, attempt: Attempt) -> bool:
        verdict = attempt.verdict
        return self.unparsable == "mask" and verdict is not None and verdict.trained_as_unparsable


class _Earned(NamedTuple):
    """[N] of a batch: the advantages; which tokens may be trained and have one other than 0; which the denominator counts;
    which keep their weight."""

    advantage_N: Array
    signal_N: npt.NDArray[np.bool_]
    counted_N: npt.NDArray[np.bool_]
    kept_N: npt.NDArray[np.bool_]

    def of(self, mine: slice) -> _Earned:
        """Those of an update's tokens."""
        return _Earned(self.advantage_N[mine], self.signal_N[mine], self.counted_N[mine], self.kept_N[mine])


def _named(part: Any) -> str:
    """A built-in part as a spec would name it, with its settings; a plan has the names of a spec's own parts."""
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(part).__name__).lower()
    settings = ", ".join(f"{key} = {json.dumps(value)}" for key, value in part.settings().items())
    return f"{name} ({settings})" if settings else name


def old_logp(logp: Mapping[Need, Tensor], view: View) -> Tensor:
    """log π_old in a view; with one update per batch it is not computed, and equals the detached current one."""
    old = logp.get(Need(view, "old"))
    return logp[Need(view, "policy")].detach() if old is None else old
