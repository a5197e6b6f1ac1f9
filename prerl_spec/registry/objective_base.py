"""Base classes of most objectives: one part, no ratio to an older policy, responses sampled from the policy."""

from typing import ClassVar, Literal, Self

from prerl_spec.needs import Need
from prerl_spec.registry.component import Component


class OnePart(Component):
    """An objective whose only part is itself.

    Subclass it if `scope` is a setting (objectives on documents); otherwise subclass `OnePartObjective`.
    """

    kind = "objective"
    uses_rollouts: ClassVar[bool] = True

    @property
    def min_group(self) -> int:
        return 1

    @property
    def uses_ratio(self) -> bool:
        return False

    def reads(self) -> frozenset[Need]:
        return frozenset()

    def parts(self) -> tuple[Self, ...]:
        return (self,)


class OnePartObjective(OnePart):
    """An objective on sampled responses whose only part is itself.

    Subclasses define `needs()`, `credit(step, known)` and `terms(logp, advantage_n, tokens)`, and `reads()` if the
    credit reads log-probabilities.
    """

    @property
    def scope(self) -> Literal["response", "all"]:
        return "response"
