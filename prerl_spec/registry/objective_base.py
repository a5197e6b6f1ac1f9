"""Base classes of most objectives: one part, no ratio to an older policy, responses sampled from the policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from prerl_spec.needs import Batch, Credit, Need
from prerl_spec.registry.component import Component
from prerl_spec.types import Array, Step, Tokens

if TYPE_CHECKING:
    from torch import Tensor


class OnePart(Component):
    """An objective whose only part is itself.

    Subclass it if `scope` is a setting (objectives on documents); otherwise subclass `OnePartObjective`.
    """

    kind = "objective"
    uses_rollouts: ClassVar[bool] = True
    trains: ClassVar[bool] = True
    """Whether it ever changes the policy: one that declares False has weight 0 everywhere, needs no forward and takes
    no update."""
    prefers_right: ClassVar[bool] = True
    """Whether, if its credit follows rewards, a step at ρ = 1 never lowers a group's right responses relative to its wrong
    ones."""

    @property
    def min_group(self) -> int:
        return 1

    @property
    def uses_ratio(self) -> bool:
        return False

    @property
    def trains_zero(self) -> bool:
        """Whether tokens of advantage 0 have a gradient, so that groups of equal rewards carry weight."""
        return False

    def reads(self) -> frozenset[Need]:
        return frozenset()

    def parts(self) -> tuple[Self, ...]:
        return (self,)

    if TYPE_CHECKING:
        # Not a member of this class at run time: a component without it is reported as incomplete (E0305).
        def credit(self, step: Step, known: Mapping[Need, Array]) -> Credit: ...

    def credits(self, batch: Batch, updates: Sequence[Step]) -> Sequence[Credit]:
        """The credit of each update of a batch: `credit` of its samples alone.

        Override it for statistics over the whole step, or for a component with state (`batch.state`).
        """
        return [self.credit(update, known) for _, update, known in batch.split(updates)]

    def measures(self, logp: Mapping[Need, Tensor], advantage_n: Tensor, tokens: Tokens) -> Mapping[str, Tensor]:
        """Per-token values [n] by metric name, without gradient: a step's metric is their mean over trained tokens."""
        return {}


class OnePartObjective(OnePart):
    """An objective on sampled responses whose only part is itself.

    Subclasses define `needs()`, `credit(step, known)` and `terms(logp, advantage_n, tokens)`, and `reads()` if the
    credit reads log-probabilities.
    """

    @property
    def scope(self) -> Literal["response", "all"]:
        return "response"
