"""Drops groups with an over-long response."""

from collections.abc import Iterable
from typing import ClassVar

from pydantic import Field

from prerl_spec.sdk import Code, Component, Conflict, Group, Place, Wiring


class MaxLength(Component):
    """Keeps groups whose longest response has at most `tokens` tokens, EOS included, whatever its verdict.

    It bounds what a step costs to train; the responses have been sampled and verified all the same. Whole groups go: what
    is left of one would be compared with a mean of the short responses only.
    """

    kind = "filter"
    formula: ClassVar[str] = "max |y| ≤ tokens"
    refill_rounds: ClassVar[int] = 0
    """Dropped groups are not replaced, except in the rounds of a filter beside it that has some."""

    tokens: int = Field(ge=1, description="length of the longest response that a kept group may have")

    def consumes(self) -> frozenset[str]:
        return frozenset({"attempts"})

    def check(self, wiring: Wiring) -> Iterable[Conflict]:
        if wiring.sampler is not None and self.tokens >= wiring.sampler.max_new_tokens:
            yield Conflict(
                Code.NO_EFFECT,
                f"no response is longer than max_new_tokens = {wiring.sampler.max_new_tokens}: tokens = {self.tokens} drops "
                "no group",
                (Place("self", "tokens"), Place("sampler", "max_new_tokens")),
                help="`drop_truncated` drops the groups whose responses were cut at max_new_tokens",
            )

    def keep(self, group: Group) -> bool:
        return all(len(a.tokens) <= self.tokens for a in group.attempts)
