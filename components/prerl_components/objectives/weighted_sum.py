"""A sum of objectives: each term keeps its own weights, views and denominator."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field

from prerl_spec.sdk import Code, Component, Conflict, Need, Objective, Place, Slot, Wiring


class WeightedSum(Component):
    """L = Σ_k L_k over its terms; the coefficient of each term is its weight.

    The engine calls `credit` and `terms` on the parts, never on the sum.
    """

    kind = "objective"

    terms: Annotated[tuple[Component, ...], Slot("objective", many=True)] = Field(
        min_length=1, description="the objectives to add, each with its own coefficient"
    )

    @property
    def uses_rollouts(self) -> bool:
        return any(part.uses_rollouts for part in self.parts())

    @property
    def scope(self) -> Literal["response", "all"]:
        return "all" if any(part.scope == "all" for part in self.parts()) else "response"

    @property
    def min_group(self) -> int:
        return max(part.min_group for part in self.parts())

    @property
    def uses_ratio(self) -> bool:
        return any(part.uses_ratio for part in self.parts())

    def consumes(self) -> frozenset[str]:
        return frozenset[str]().union(*(term.consumes() for term in self.terms))

    def check(self, wiring: Wiring) -> Iterable[Conflict]:
        """The rules between terms; each term's own rules are checked at its own place."""
        kinds = {part.uses_rollouts for part in self.parts()}
        if len(kinds) > 1:
            yield Conflict(
                Code.CONTRADICTION,
                "one step cannot use both rollouts and documents: `next_token` is combined with objectives on rollouts",
                (Place("self", "terms"),),
                help="move `next_token` to a separate phase",
            )
        if not any(kinds) and len({part.scope for part in self.parts()}) > 1:
            yield Conflict(
                Code.CONTRADICTION,
                "the terms train different tokens of a document: `scope` must be the same in all of them",
                (Place("self", "terms"),),
                help='set scope = "response" or scope = "all" in every term',
            )

    def needs(self) -> frozenset[Need]:
        return frozenset[Need]().union(*(part.needs() for part in self.parts()))

    def reads(self) -> frozenset[Need]:
        return frozenset[Need]().union(*(part.reads() for part in self.parts()))

    def parts(self) -> tuple[Objective, ...]:
        """The terms, with nested sums flattened."""
        terms: tuple[Any, ...] = self.terms
        return tuple(part for term in terms for part in term.parts())
