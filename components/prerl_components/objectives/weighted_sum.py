"""A sum of objectives: each term keeps its own weights, views and denominator."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import Field

from prerl_components.objectives.aggregation import Aggregation
from prerl_components.objectives.token_losses.token_loss import SampledTokenLoss
from prerl_spec.sdk import Code, Component, Conflict, Need, Objective, Place, Slot, Wiring


class WeightedSum(Component):
    """L = Σ_k L_k over its terms; the coefficient of each term is its weight.

    The engine calls `credits` and `terms` on the parts, never on the sum. A `kl` or `entropy` with aggregation = "auto"
    averages as the policy-gradient terms beside it.
    """

    kind = "objective"
    formula: ClassVar[str] = "Σ_k L_k"
    hints: ClassVar[Mapping[str, str]] = {
        "coefficient": "each term has its own `coefficient`, which is its weight in the sum",
        "weights": "each term has its own `coefficient`, which is its weight in the sum",
    }

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
        yield from self._equal_terms()
        yield from self._undecided_terms()

    def _equal_terms(self) -> Iterator[Conflict]:
        for number, term in enumerate(self.terms):
            if any(type(term) is type(before) and term == before for before in self.terms[:number]):
                yield Conflict(
                    Code.NO_EFFECT,
                    "this term stands in the sum twice, with equal settings",
                    (Place("self", f"terms[{number}].use"),),
                    help="remove it, or double the coefficient of the first",
                )

    def _undecided_terms(self) -> Iterator[Conflict]:
        found = self._aggregations()
        if len(found) < 2:
            return
        for number, term in enumerate(self.terms):
            if isinstance(term, SampledTokenLoss) and term.aggregation == "auto":
                written = "aggregation" if "aggregation" in term.model_fields_set else "use"
                yield Conflict(
                    Code.CONTRADICTION,
                    f'aggregation = "auto" follows the policy-gradient terms beside it, and they differ: {", ".join(found)}',
                    (Place("self", f"terms[{number}].{written}"),),
                    help="write the aggregation of this term",
                )

    def _aggregations(self) -> list[Aggregation]:
        """The aggregations of the policy-gradient terms, each once, in order."""
        own = [
            term.aggregation
            for term in self._flat()
            if not isinstance(term, SampledTokenLoss) and getattr(term, "aggregation", None) is not None
        ]
        return list(dict.fromkeys(own))

    def needs(self) -> frozenset[Need]:
        return frozenset[Need]().union(*(part.needs() for part in self.parts()))

    def reads(self) -> frozenset[Need]:
        return frozenset[Need]().union(*(part.reads() for part in self.parts()))

    def expansion(self) -> Mapping[str, str]:
        """The aggregation of each term that takes it from its neighbours."""
        flat, parts = self._flat(), self.parts()
        return {
            f"{type(part).__name__.lower()}.aggregation": cast(Any, part).aggregation
            for term, part in zip(flat, parts, strict=True)
            if part is not term
        }

    def parts(self) -> tuple[Objective, ...]:
        """The terms, with nested sums flattened and every aggregation decided."""
        beside: Aggregation = next(iter(self._aggregations()), "token_mean")
        decided: list[Any] = [t.beside(beside) if isinstance(t, SampledTokenLoss) else t for t in self._flat()]
        return tuple(decided)

    def _flat(self) -> tuple[Any, ...]:
        """The terms, with nested sums flattened."""
        terms: tuple[Any, ...] = self.terms
        return tuple(
            part for term in terms for part in (term._flat() if isinstance(term, WeightedSum) else term.parts())
        )
