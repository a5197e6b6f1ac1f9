"""Base classes of the parts of a policy-gradient objective: subclass one and define its one function."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, cast

import numpy as np
import numpy.typing as npt
from pydantic import Field

from prerl_spec.codes import Code
from prerl_spec.needs import Batch, Need, View
from prerl_spec.registry.component import Component, Conflict, Place, Slot, Wiring
from prerl_spec.registry.kinds import objective_parts
from prerl_spec.types import Array, Tokens

if TYPE_CHECKING:
    from torch import Tensor


class Advantage(Component):
    """What a sample, or a token, has earned: subclasses define `advantage(batch)`.

    The class data state the laws that it obeys: `baseline_over` ("group", "batch": equal rewards there earn exactly 0),
    `shift` (a constant added to every reward changes nothing), `scale` (the power of a factor on every reward).
    """

    kind = "advantage"
    per: ClassVar[Literal["sample", "token"]] = "sample"
    baseline_over: ClassVar[Literal["group", "batch", "none"]] = "none"
    shift: ClassVar[bool] = False
    scale: ClassVar[Literal[0, 1] | None] = None
    sign: ClassVar[Literal["both", "positive", "negative"]] = "both"
    """The sign that its advantages can have, for a verifier's scores in [0, 1] without further reward terms."""
    monotone: ClassVar[bool] = True
    """Whether of two samples of a group the one with the higher reward earns no less."""

    @property
    def min_group(self) -> int:
        return 2 if self.baseline_over == "group" else 1

    def reads(self) -> frozenset[Need]:
        return frozenset()

    @abstractmethod
    def advantage(self, batch: Batch) -> Array:
        """[S] (or [N] with per = "token"), computed once a step; 0 for samples without a reward."""


class Selection(Component):
    """Which tokens keep their weight: subclasses define `keep(batch, advantage_N)`."""

    kind = "selection"
    in_denominator: ClassVar[bool] = False

    def reads(self) -> frozenset[Need]:
        return frozenset()

    @abstractmethod
    def keep(self, batch: Batch, advantage_N: Array) -> npt.NDArray[np.bool_]:
        """[N], True for the tokens that keep their weight."""


class Surrogate(Component):
    """A per-token policy-gradient loss: subclasses define `loss`, and `bounded` if a bound can act.

    The class data state the laws that it obeys: `on_policy` (at ρ = 1 the gradient is "reinforce"'s −A ∇log π, or some
    "other"), `gradient` ("stopped" where a factor is a stop-gradient, so that the gradient is not the derivative of the
    value) and `unbounded`: what −A ∇log π is multiplied by where no bound acts, for A > 0 and for A < 0 ("one"; "ratio",
    ρ of the token; "sequence" and "geometric", the product of the response's and its T-th root), None for anything else;
    `bounds`, the sides of ρ = 1 on which a bound may act: "outward" for A > 0 above and for A < 0 below, where the update
    has already gone A's way; "above" also for A < 0 above (a dual clip, a cap on ρ); "any".
    """

    kind = "surrogate"
    uses_ratio: ClassVar[bool] = True
    on_policy: ClassVar[Literal["reinforce", "other"]] = "reinforce"
    gradient: ClassVar[Literal["exact", "stopped"]] = "exact"
    unbounded: ClassVar[tuple[objective_parts.Factor, objective_parts.Factor] | None] = None
    bounds: ClassVar[objective_parts.Sides] = "outward"
    trains_zero: ClassVar[bool] = False
    """Whether tokens of advantage 0 have a gradient: then they keep their weight."""
    ratio_settings: ClassVar[tuple[str, ...]] = ()
    """Settings that act only where ρ differs from 1."""
    settings_by_sign: ClassVar[Mapping[objective_parts.Sign, tuple[str, ...]]] = {}
    """Settings that act only on samples with a positive advantage, or only on those with a negative one."""

    def check(self, wiring: Wiring) -> Iterable[Conflict]:
        yield from ratio_settings_without_effect(wiring, self.ratio_settings)

    def needs(self, view: View) -> frozenset[Need]:
        return frozenset()

    @abstractmethod
    def loss(
        self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: Mapping[Need, Tensor]
    ) -> Tensor:
        """[n] losses of whole samples."""

    def bounded(
        self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: Mapping[Need, Tensor]
    ) -> Tensor:
        """[n] bool: the tokens where a bound acts; by default none."""
        return advantage_n != advantage_n


class Correction(Component):
    """Stop-gradient weights against the sampler: subclasses define `ratio` and `weight`."""

    kind = "correction"

    def consumes(self) -> frozenset[str]:
        return frozenset({"logprobs[sampling]"})

    @abstractmethod
    def ratio(self, trainer_n: Tensor, sampler_n: Tensor, tokens: Tokens) -> Tensor:
        """[n] w = π_trainer/π_sampler at the correction's level, before any bound."""

    @abstractmethod
    def weight(self, trainer_n: Tensor, sampler_n: Tensor, advantage_n: Tensor, tokens: Tokens) -> Tensor:
        """[n] factors on the losses of whole samples."""


class Ramp(Component):
    """A coefficient that changes with the phase's steps: subclasses define `at(step)`, pure, with step from 0."""

    kind = "ramp"

    @abstractmethod
    def at(self, step: int) -> float:
        """Its value, at least 0."""


def ratio_settings_without_effect(wiring: Wiring, settings: Iterable[str]) -> Iterator[Conflict]:
    """With one update per batch ρ = 1 everywhere: no bound on it ever acts (W0702 for each that is written)."""
    if wiring.updates_per_batch > 1:
        return
    for setting in settings:
        if setting in wiring.written:
            yield Conflict(
                Code.NO_EFFECT,
                f"`{setting}` has no effect with one update per batch: the ratio to the old policy is always 1",
                (Place("self", setting),),
                help=f"set updates_per_batch above 1, or remove {setting}",
            )


Coefficient = Annotated[float, Field(gt=0)] | Annotated[Component, Slot("ramp")]
"""The type of a coefficient setting: a number above 0, or a ramp. Read it with `coefficient_at`."""


def coefficient_at(coefficient: float | Component, step: int) -> float:
    """The value of a coefficient in a step of the phase (from 0: `Step.index`)."""
    if isinstance(coefficient, Component):
        return float(cast(objective_parts.Ramp, coefficient).at(step))
    return coefficient
