"""Assigns components to the roles of each phase (its own, else the top-level one) and orders the phases."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Literal, TypeVar

from prerl_spec.compiler.resolve.resolved import Resolved
from prerl_spec.compiler.rules.served import Served
from prerl_spec.language.spec import PhaseSpec
from prerl_spec.registry.kinds.declared import Declared
from prerl_spec.registry.kinds.judging import Filter, Reward, Verifier
from prerl_spec.registry.kinds.objective import Objective
from prerl_spec.registry.kinds.sampler import Sampler
from prerl_spec.registry.kinds.schedule import Optimizer, Schedule
from prerl_spec.registry.kinds.watching import Probe

T = TypeVar("T")
Role = Literal["sampler", "verifier", "optimizer"]
ManyRole = Literal["rewards", "filters", "probes"]


@dataclass(frozen=True)
class PhaseRoles:
    """A phase and the component in each of its roles; None for a role without a component."""

    path: str
    spec: PhaseSpec
    objective: Served[Objective]
    schedule: Served[Schedule]
    sampler: Served[Sampler] | None
    verifier: Served[Verifier] | None
    optimizer: Served[Optimizer] | None
    rewards: tuple[Served[Reward], ...]
    filters: tuple[Served[Filter], ...]
    probes: tuple[Served[Probe], ...]
    data: Mapping[str, float]
    """Data set -> share, summing to 1."""

    @property
    def title(self) -> str:
        """Name of the phase in messages, also if its id could not be read."""
        return f"phase `{self.spec.id}`" if self.spec.id else "this phase"

    @property
    def uses_rollouts(self) -> bool | None:
        """Whether its objective trains on rollouts of the policy; None if the objective is invalid."""
        objective = self.objective.component
        return None if objective is None else objective.uses_rollouts

    @property
    def serving(self) -> tuple[Served[Declared], ...]:
        """All components of the phase, in a fixed order."""
        single = (self.sampler, self.verifier, self.optimizer)
        several = (*self.rewards, *self.filters, *self.probes)
        return (self.objective, self.schedule, *(s for s in single if s is not None), *several)


def phase_roles(resolved: Resolved) -> tuple[PhaseRoles, ...]:
    """The phases in the order in which they run, each with its components."""
    phases = resolved.spec.phases
    return tuple(_roles_of(resolved, index, phases[index]) for index in running_order(phases))


def with_following(phases: Sequence[T]) -> Iterator[tuple[T, T | None]]:
    """Each phase with its successor, the last with None."""
    return zip_longest(phases, phases[1:])


def running_order(phases: Sequence[PhaseSpec]) -> list[int]:
    """Indices in file order, except that a phase with `after` follows the phase it names (and its earlier followers).

    A phase with an unknown `after` keeps its place, phases in a cycle come last: both are diagnosed elsewhere.
    """
    ids = [p.id for p in phases]
    followers: dict[str, list[int]] = {}
    for index, phase in enumerate(phases):
        if phase.after in ids:
            followers.setdefault(str(phase.after), []).append(index)
    order: list[int] = []

    def place(index: int) -> None:
        if index not in order:
            order.append(index)
            for follower in followers.get(ids[index], ()):
                place(follower)

    for index, phase in enumerate(phases):
        if phase.after not in ids:
            place(index)
    return order + [index for index in range(len(phases)) if index not in order]


def shares(data: str | Mapping[str, float]) -> dict[str, float]:
    """`phase.data` as shares that sum to 1."""
    if isinstance(data, str):
        return {data: 1.0}
    total = sum(data.values())
    return {name: weight / total for name, weight in data.items()}


def _roles_of(resolved: Resolved, index: int, phase: PhaseSpec) -> PhaseRoles:
    path = f"phases[{index}]"

    def served(at: str) -> Served[Any]:
        """Typed by the role that it is assigned to: `resolve` finds components of that kind only."""
        return Served(at, resolved.built.get(at))

    def one(role: Role) -> Served[Any] | None:
        if getattr(phase, role) is not None:
            return served(f"{path}.{role}")
        return served(role) if getattr(resolved.spec, role) is not None else None

    def many(role: ManyRole) -> tuple[Served[Any], ...]:
        own = getattr(phase, role)
        found = own if own is not None else getattr(resolved.spec, role)
        prefix = "" if own is None else f"{path}."
        return tuple(served(f"{prefix}{role}[{number}]") for number in range(len(found or ())))

    return PhaseRoles(
        path=path,
        spec=phase,
        objective=served(f"{path}.objective"),
        schedule=served(f"{path}.schedule"),
        sampler=one("sampler"),
        verifier=one("verifier"),
        optimizer=one("optimizer"),
        rewards=many("rewards"),
        filters=many("filters"),
        probes=many("probes"),
        data=shares(phase.data),
    )
