"""The base class of objectives that are a point of the policy-gradient product."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from prerl_components.objectives.other_words import OF_GRADIENTS
from prerl_components.objectives.point import Point
from prerl_components.objectives.wiring_rules import sign_settings_without_effect
from prerl_spec.sdk import (
    Array,
    Batch,
    Component,
    Conflict,
    Credit,
    Need,
    OnePartObjective,
    Step,
    Tokens,
    Wiring,
    ratio_settings_without_effect,
)

if TYPE_CHECKING:
    from torch import Tensor


class GradientObjective(OnePartObjective):
    """A policy gradient without a critic; a subclass has settings, and `point()` makes a point of the product of them."""

    hints: ClassVar[Mapping[str, str]] = OF_GRADIENTS
    metric_names = ("clip_fraction", "clip_fraction_*", "kl_old_new", "correction_*", "selected")
    ratio_settings: ClassVar[tuple[str, ...]] = ()
    """Settings that act only where ρ = π/π_old differs from 1."""

    @abstractmethod
    def point(self) -> Point:
        """View, advantage, signs, selection, surrogate, correction, aggregation and coefficient."""

    @property
    def min_group(self) -> int:
        return self.point().min_group

    @property
    def uses_ratio(self) -> bool:
        return self.point().surrogate.uses_ratio

    @property
    def trains_zero(self) -> bool:
        """Whether its surrogate has a gradient where A = 0."""
        return self.point().surrogate.trains_zero

    def consumes(self) -> frozenset[str]:
        point = self.point()
        sampler = {"logprobs[sampling]"} if point.correction is not None else set()
        return frozenset({"reward[scalar]"} | sampler).union(point.advantage.consumes())

    def expansion(self) -> Mapping[str, str]:
        """The point of the product, part by part."""
        return self.point().in_words()

    def check(self, wiring: Wiring) -> Iterable[Conflict]:
        yield from ratio_settings_without_effect(wiring, self.ratio_settings)
        own = wiring.written & type(self).model_fields.keys()
        slot: Any = getattr(self, "surrogate", None)
        place, written = ("surrogate", frozenset(slot.model_fields_set)) if isinstance(slot, Component) else ("", own)
        yield from sign_settings_without_effect(self.point(), wiring, own, written, place)

    def needs(self) -> frozenset[Need]:
        return self.point().needs()

    def reads(self) -> frozenset[Need]:
        return self.point().reads()

    def credit(self, step: Step, known: Mapping[Need, Array]) -> Credit:
        (credit,) = self.point().credits(Batch(step, known), [step])
        return credit

    def credits(self, batch: Batch, updates: Sequence[Step]) -> Sequence[Credit]:
        if type(self).credit is not GradientObjective.credit:
            # An author's subclass that decides the credit of an update is asked for each update's.
            return super().credits(batch, updates)
        return self.point().credits(batch, updates)

    def terms(self, logp: Mapping[Need, Tensor], advantage_n: Tensor, tokens: Tokens) -> Tensor:
        """[n] losses of the point's surrogate, times the weights of its correction."""
        return self.point().terms(logp, advantage_n, tokens)

    def measures(self, logp: Mapping[Need, Tensor], advantage_n: Tensor, tokens: Tokens) -> Mapping[str, Tensor]:
        return self.point().measures(logp, advantage_n, tokens)
