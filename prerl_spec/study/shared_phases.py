"""Leading phases that several cells have in common: computed once, by digest of the plan cut off behind them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from prerl_spec.compiler.plan import Plan
from prerl_spec.compiler.planning.digest import digest_of_plan


@dataclass(frozen=True, eq=False)
class SharedPhases:
    """The run of leading phases that several cells continue: phases 0 … `num_phases` − 1 of each of their plans.

    `plan` has these phases from the first on, also where the run goes on from a shorter one.
    """

    plan: Plan

    @property
    def num_phases(self) -> int:
        return len(self.plan.phases)

    @property
    def last_phase(self) -> str:
        """The id of the phase at whose end the cells begin."""
        return self.plan.phases[-1].id

    @property
    def key(self) -> str:
        """The first digits of the digest: the name of its folder."""
        return self.plan.digest[:12]

    def in_words(self) -> str:
        """`pretrain`, or `pretrain, prune`."""
        return ", ".join(phase.id for phase in self.plan.phases)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SharedPhases) and self.plan.digest == other.plan.digest

    def __hash__(self) -> int:
        return hash(self.plan.digest)


def truncated(plan: Plan, num_phases: int) -> Plan:
    """The plan of the first phases alone."""
    left = replace(plan, phases=plan.phases[:num_phases], estimated_seconds=None)
    return replace(left, digest=digest_of_plan(left))


def shared_by(plans: Sequence[Plan]) -> tuple[tuple[SharedPhases, ...], ...]:
    """For each plan the shared runs that lead to it, shortest first: the trie of the plans' phases, one node wherever fewer
    plans go on together.

    Every plan keeps its last phase to itself: a budget ends or prolongs that one.
    """
    prefixes = [[truncated(plan, count) for count in range(1, len(plan.phases))] for plan in plans]
    users: dict[str, int] = {}
    for own in prefixes:
        for prefix in own:
            users[prefix.digest] = users.get(prefix.digest, 0) + 1
    found: list[tuple[SharedPhases, ...]] = []
    for own in prefixes:
        counts = [users[prefix.digest] for prefix in own]
        following = [*counts[1:], 1]
        found.append(
            tuple(
                SharedPhases(prefix)
                for prefix, count, ahead in zip(own, counts, following, strict=False)
                if count > 1 and count != ahead
            )
        )
    return tuple(found)
