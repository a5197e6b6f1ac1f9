"""Keeps prompts that are neither too easy nor too hard for the policy that sampled them."""

from collections.abc import Iterable
from typing import ClassVar

from pydantic import Field

from prerl_spec.sdk import Code, Component, Conflict, Group, Outcome, Place, Wiring


class DifficultyBand(Component):
    """Keeps groups with low ≤ right / scored attempts ≤ high, both inclusive; none without a scored attempt.

    Timeouts and errors are not scored. The balanced form of online difficulty filtering (arXiv:2504.03380): the variance of
    a prompt's verdicts, which bounds what it can teach, is largest at a share of 1/2. `mixed_groups` is the widest band that
    has any, 0 < share < 1.
    """

    kind = "filter"
    formula: ClassVar[str] = "low ≤ right / scored ≤ high"
    source: ClassVar[str] = "balanced online difficulty filtering, arXiv:2504.03380"
    refill_rounds: ClassVar[int] = 0
    """Dropped groups are not replaced, except in the rounds of a filter beside it that has some."""

    low: float = Field(ge=0, le=1, description="least share of right attempts in a kept group")
    high: float = Field(ge=0, le=1, description="largest share of right attempts in a kept group")

    def consumes(self) -> frozenset[str]:
        return frozenset({"reward[scalar]"})

    def check(self, wiring: Wiring) -> Iterable[Conflict]:
        if self.low > self.high:
            yield Conflict(
                Code.CONTRADICTION,
                f"low = {self.low} is above high = {self.high}: no group lies in between",
                (Place("self", "low"), Place("self", "high")),
            )

    def keep(self, group: Group) -> bool:
        outcomes = [a.verdict.outcome for a in group.attempts if a.verdict is not None and a.verdict.score is not None]
        return bool(outcomes) and self.low <= outcomes.count(Outcome.RIGHT) / len(outcomes) <= self.high
