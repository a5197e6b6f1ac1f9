"""A sum of objectives: each term keeps its own weights, views and denominator."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
        places, parts = [place for place, _ in self._leaves()], self.parts()
        for number, (place, part) in enumerate(zip(places, parts, strict=True)):
            # Two terms of one nested sum are told by that sum.
            earlier = [other for p, other in zip(places[:number], parts, strict=False) if _top(p) != _top(place)]
            if any(_are_equal(part, other) for other in earlier):
                yield Conflict(
                    Code.NO_EFFECT,
                    "this term stands in the sum twice, with equal settings",
                    (Place("self", f"{place}.use"),),
                    help="remove it, or double the coefficient of the first",
                )

    def _undecided_terms(self) -> Iterator[Conflict]:
        found = self._aggregations()
        for place, term in self._followers() if len(found) > 1 else ():
            written = "aggregation" if "aggregation" in term.model_fields_set else "use"
            yield Conflict(
                Code.CONTRADICTION,
                f'aggregation = "auto" follows the policy-gradient terms beside it, and they differ: {", ".join(found)}',
                (Place("self", f"{place}.{written}"),),
                help="write the aggregation of this term",
            )

    def _followers(self) -> Iterator[tuple[str, SampledTokenLoss]]:
        """The terms that take their aggregation from this sum, each with its place: its own, and those of nested sums
        without a policy gradient."""
        for number, term in enumerate(self.terms):
            place = f"terms[{number}]"
            if isinstance(term, WeightedSum) and not term._aggregations():
                yield from ((f"{place}.{inner}", follower) for inner, follower in term._followers())
            elif isinstance(term, SampledTokenLoss) and term.is_undecided:
                yield place, term

    def _aggregations(self) -> list[Aggregation]:
        """The aggregations of the policy-gradient terms, nested ones included, each once, in order."""
        terms: list[Any] = [term for _, term in self._leaves()]
        own = [t.aggregation for t in terms if not _follows(t) and getattr(t, "aggregation", None) is not None]
        return list(dict.fromkeys(own))

    def needs(self) -> frozenset[Need]:
        return frozenset[Need]().union(*(part.needs() for part in self.parts()))

    def reads(self) -> frozenset[Need]:
        return frozenset[Need]().union(*(part.reads() for part in self.parts()))

    def expansion(self) -> Mapping[str, str]:
        """The aggregation of each term that takes it from its neighbours."""
        return {
            f"{place}.aggregation": cast(Any, part).aggregation
            for (place, term), part in zip(self._leaves(), self.parts(), strict=True)
            if part is not term
        }

    def parts(self) -> tuple[Objective, ...]:
        """The terms, with nested sums flattened and every aggregation decided."""
        return self._decided(())

    def _decided(self, beside: Sequence[Aggregation]) -> tuple[Any, ...]:
        """The parts; `beside` are the aggregations beside this sum, for one without a policy gradient of its own."""
        found = self._aggregations() or beside
        own: Aggregation = next(iter(found), "token_mean")
        terms: tuple[Any, ...] = self.terms
        return tuple(
            part
            for term in terms
            for part in (
                term._decided(found)
                if isinstance(term, WeightedSum)
                else (term.beside(own),)
                if isinstance(term, SampledTokenLoss)
                else term.parts()
            )
        )

    def _leaves(self) -> Iterator[tuple[str, Any]]:
        """The terms, with nested sums flattened and nothing decided, each with its place: `terms[1].terms[0]`."""
        terms: tuple[Any, ...] = self.terms
        for number, term in enumerate(terms):
            place = f"terms[{number}]"
            if isinstance(term, WeightedSum):
                yield from ((f"{place}.{inner}", leaf) for inner, leaf in term._leaves())
            else:
                yield from ((place, part) for part in term.parts())


def _follows(term: Any) -> bool:
    """Whether it is a penalty, whose aggregation may be that of its neighbours, and is no neighbour to follow."""
    return isinstance(term, SampledTokenLoss) and term.follows_neighbours


def _are_equal(part: Objective, other: Objective) -> bool:
    return type(part) is type(other) and part == other


def _top(place: str) -> str:
    return place.partition(".")[0]
