"""The log-probability vectors an objective needs, grouped by how they are computed; used by planner and engine."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from prerl_spec.needs import Need, View
from prerl_spec.registry.kinds.objective import Objective


@dataclass(frozen=True)
class Needs:
    """The distinct Needs of an objective's parts, in a fixed order.

    `policy` is computed with gradient. `credit` is read by the parts' `credit`, for every sample; `terms` by their
    `terms`, for the samples with non-zero weight. With one update per batch, old log-probabilities equal the detached
    current ones if every part that needs them also differentiates that view: `terms` then omits them, which saves a
    forward.
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
            terms=tuple(n for n in every if n.of != "policy" and (n.of != "old" or n in wanted)),
        )

    @property
    def without_gradient(self) -> tuple[Need, ...]:
        """The vectors computed under no_grad before the first update."""
        return _in_order((*self.credit, *self.terms))

    @property
    def differentiated(self) -> tuple[View, ...]:
        """The views that are differentiated."""
        return tuple(dict.fromkeys(n.view for n in self.policy))

    @property
    def compares_with_sampler(self) -> bool:
        """Whether importance weights are on; the sampler gap is then measured on whole batches."""
        return any(n.of == "sampler" for n in self.without_gradient)


def every_need(objective: Objective) -> tuple[Need, ...]:
    """Every vector that an objective's parts may read, in `credit` or in `terms`."""
    return _in_order(need for part in objective.parts() for need in (*part.needs(), *part.reads()))


def reads_from(objective: Objective, of: Literal["old", "reference", "sampler"]) -> bool:
    """Whether any part reads log-probabilities under these weights."""
    return any(need.of == of for need in every_need(objective))


def trains(objective: Objective) -> bool:
    """Whether any part may ever change the policy: an objective that declares `trains = False` takes no update."""
    return any(getattr(part, "trains", True) for part in objective.parts())


def _in_order(needs: Iterable[Need]) -> tuple[Need, ...]:
    return tuple(sorted(frozenset(needs), key=lambda n: (str(n.of), repr(n.of), n.view.name, repr(n.view), n.entropy)))
