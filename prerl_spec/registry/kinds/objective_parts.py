"""The parts of a policy-gradient objective: advantage, selection, surrogate and correction; and ramps of a coefficient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import numpy.typing as npt

from prerl_spec.needs import Batch, Need, View
from prerl_spec.registry.kinds.declared import Declared
from prerl_spec.types import Array, Tokens

if TYPE_CHECKING:
    from torch import Tensor

Factor = Literal["one", "ratio", "sequence", "geometric"]
"""What multiplies −A ∇log π: 1, ρ of the token, the product of ρ over its response, or the T-th root of that."""

Sign = Literal["positive", "negative"]
"""Of an advantage that is not 0."""


Sides = Literal["outward", "above", "any"]
"""Where a bound may act: A > 0 at ρ > 1 and A < 0 at ρ < 1; also A < 0 at ρ > 1; everywhere."""


class Advantage(Declared, Protocol):
    """Turns the rewards of a step into advantages, once, before the step is split into updates."""

    @property
    def per(self) -> Literal["sample", "token"]:
        """Whether `advantage` returns one value for each sample [S], or for each trained token [N]."""
        ...

    @property
    def min_group(self) -> int:
        """Attempts per prompt that its baseline needs."""
        ...

    @property
    def baseline_over(self) -> Literal["group", "batch", "none"]:
        """The samples over which the baseline is taken: equal rewards there earn exactly 0. "none": no baseline."""
        ...

    @property
    def shift(self) -> bool:
        """Whether adding a constant to every reward (not to the verifier's score) leaves the advantages unchanged."""
        ...

    @property
    def scale(self) -> Literal[0, 1] | None:
        """The power with which advantages follow a positive factor on every reward; None if neither."""
        ...

    @property
    def sign(self) -> Literal["both", "positive", "negative"]:
        """The sign that its advantages can have, for a verifier's scores in [0, 1] without further reward terms."""
        ...

    @property
    def monotone(self) -> bool:
        """Whether of two samples of a group the one with the higher reward earns no less."""
        ...

    def reads(self) -> frozenset[Need]:
        """The vectors that `advantage` reads, without gradient: each costs a forward of all samples."""
        ...

    def advantage(self, batch: Batch) -> Array:
        """[S] or [N], finite; 0 for samples without a reward (NaN in `reward_S`). Pure."""
        ...


class Selection(Declared, Protocol):
    """Chooses the tokens that keep their weight, before any forward with gradient."""

    @property
    def in_denominator(self) -> bool:
        """Whether a dropped token still counts in the denominator of the aggregation."""
        ...

    def reads(self) -> frozenset[Need]: ...
    def keep(self, batch: Batch, advantage_N: Array) -> npt.NDArray[np.bool_]:
        """[N], True for the tokens that keep their weight. Pure."""
        ...


class Surrogate(Declared, Protocol):
    """The per-token loss of a policy gradient, in terms of ρ = π/π_old and the advantage."""

    @property
    def uses_ratio(self) -> bool:
        """Whether it reads `old_n`."""
        ...

    @property
    def on_policy(self) -> Literal["reinforce", "other"]:
        """Whether the gradient at ρ = 1 is that of REINFORCE, −A ∇log π."""
        ...

    @property
    def gradient(self) -> Literal["exact", "stopped"]:
        """Whether a factor is a stop-gradient, so that the gradient is not the derivative of the value."""
        ...

    @property
    def unbounded(self) -> tuple[Factor, Factor] | None:
        """What multiplies −A ∇log π where no bound acts, for A > 0 and for A < 0: "one", "ratio" (ρ of the token), "sequence"
        (the product of ρ over its response) or "geometric" (the T-th root of that); None: another function of ρ."""
        ...

    @property
    def bounds(self) -> Sides:
        """The sides of ρ = 1 on which a bound may act, for each sign of A."""
        ...

    @property
    def trains_zero(self) -> bool:
        """Whether tokens of advantage 0 have a gradient: then they keep their weight."""
        ...

    def needs(self, view: View) -> frozenset[Need]:
        """Vectors that `loss` reads beside the current and old log-probabilities in the objective's view."""
        ...

    def loss(
        self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: Mapping[Need, Tensor]
    ) -> Tensor:
        """[n] losses of whole samples, pure; a token's loss depends on its own sample only.

        `old_n` carries no gradient; for a surrogate without a ratio, and with one update a batch, it is the detached
        `logp_n`. `more` holds the vectors of `needs`.
        """
        ...

    def bounded(
        self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: Mapping[Need, Tensor]
    ) -> Tensor:
        """[n] bool: the tokens where a bound acts, so that the gradient is not that of the unbounded surrogate."""
        ...


class Correction(Declared, Protocol):
    """Stop-gradient weights of tokens against the gap between trainer and sampler, both given the question."""

    def ratio(self, trainer_n: Tensor, sampler_n: Tensor, tokens: Tokens) -> Tensor:
        """[n] w = π_trainer/π_sampler at the correction's level, before any bound."""
        ...

    def weight(self, trainer_n: Tensor, sampler_n: Tensor, advantage_n: Tensor, tokens: Tokens) -> Tensor:
        """[n] ≥ 0, detached: factors on the losses of whole samples."""
        ...


class Ramp(Declared, Protocol):
    """A coefficient as a function of the phase's step."""

    def at(self, step: int) -> float:
        """Its value ≥ 0 in a step, counted from 0 at the phase's first step. Pure."""
        ...
