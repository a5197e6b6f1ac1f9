"""What an objective asks the engine for, sorted by how it is made: the plan counts forwards by it, the engine runs them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from prerl_spec.needs import Need, View
from prerl_spec.registry.kinds import Objective


@dataclass(frozen=True)
class Needs:
    """The distinct Needs of an objective's parts, in a fixed order.

    `policy` has a gradient. `credit` is what the parts' credit reads, of every sample; `terms` what their terms read, of the
    samples that carry weight. Old log-probabilities of the terms are the detached current ones where one update is taken
    a batch and every part that asks for them differentiates that view itself: then `terms` leaves that view out, and no
    forward is spent.
    """

    policy: tuple[Need, ...]
    credit: tuple[Need, ...]
    terms: tuple[Need, ...]

    @classmethod
    def of(cls, objective: Objective, updates_per_batch: int) -> "Needs":
        asked = [part.needs() for part in objective.parts()]
        every = _in_order(need for needs in asked for need in needs)
        policy = tuple(n for n in every if n.of == "policy")
        wanted = {
            old
            for needs in asked
            for old in needs
            if old.of == "old" and (updates_per_batch > 1 or old._replace(of="policy") not in needs)
        }
        return cls(
            policy,
            credit=_in_order(need for part in objective.parts() for need in part.reads()),
            terms=tuple(n for n in every if n.of in ("reference", "sampler") or n in wanted),
        )

    @property
    def without_gradient(self) -> tuple[Need, ...]:
        """What is computed under no_grad before the first update."""
        return _in_order((*self.credit, *self.terms))

    @property
    def differentiated(self) -> tuple[View, ...]:
        """The views with a gradient."""
        return tuple(dict.fromkeys(n.view for n in self.policy))

    @property
    def compares_with_sampler(self) -> bool:
        """Whether importance weights are on: their gap is then measured on whole batches."""
        return any(n.of == "sampler" for n in self.without_gradient)


def every_need(objective: Objective) -> tuple[Need, ...]:
    """All that an objective's parts may read, in their credit or their terms."""
    return _in_order(need for part in objective.parts() for need in (*part.needs(), *part.reads()))


def reads_from(objective: Objective, of: Literal["old", "reference", "sampler"]) -> bool:
    """Whether a part reads log-probabilities of these weights."""
    return any(need.of == of for need in every_need(objective))


def _in_order(needs: Iterable[Need]) -> tuple[Need, ...]:
    return tuple(sorted(frozenset(needs), key=lambda n: (n.of, n.view.name, repr(n.view), n.entropy)))
