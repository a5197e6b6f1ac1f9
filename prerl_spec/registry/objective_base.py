"""What most objectives are: one part, without a ratio to an older policy, on responses drawn from the policy."""

from typing import ClassVar, Literal, Self

from prerl_spec.needs import Need
from prerl_spec.registry.component import Component


class OnePart(Component):
    """An objective that is its own only part. Subclass it where `scope` is a setting, as documents have it; else
    `OnePartObjective`."""

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
    """Subclass it with `needs()`, `credit(step, known)` and `terms(logp, advantage_n, tokens)`; with `reads()` as well
    where the credit reads log-probabilities."""

    @property
    def scope(self) -> Literal["response", "all"]:
        return "response"
