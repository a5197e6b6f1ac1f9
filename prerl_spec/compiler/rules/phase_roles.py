"""Who serves each phase: its own component, else the top-level one; and the order in which the phases run."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Literal, TypeVar

from prerl_spec.compiler.resolve.resolved import Built, Resolved
from prerl_spec.language.spec import PhaseSpec

T = TypeVar("T")
Role = Literal["sampler", "verifier", "optimizer"]
ManyRole = Literal["rewards", "filters", "probes"]


@dataclass(frozen=True)
class Served:
    """A component in its place: `Served("phases[0].objective", built)`; `built` is None where it is itself broken."""

    path: str
    built: Built | None

    @property
    def component(self) -> Any:
        """The declaration, None where it is broken."""
        return None if self.built is None else self.built.component


@dataclass(frozen=True)
class PhaseRoles:
    """A phase and those who serve it; None stands for a role that nobody was given."""

    path: str
    spec: PhaseSpec
    objective: Served
    schedule: Served
    sampler: Served | None
    verifier: Served | None
    optimizer: Served | None
    rewards: tuple[Served, ...]
    filters: tuple[Served, ...]
    probes: tuple[Served, ...]
    data: Mapping[str, float]
    """Data set -> share, summing to 1."""

    @property
    def title(self) -> str:
        """What messages call it, also where its id could not be read."""
        return f"phase `{self.spec.id}`" if self.spec.id else "this phase"

    @property
    def uses_rollouts(self) -> bool | None:
        """Whether its objective draws from the policy; None where the objective is broken."""
        objective = self.objective.component
        return None if objective is None else bool(objective.uses_rollouts)

    @property
    def serving(self) -> tuple[Served, ...]:
        """Everybody in the phase, in the order of the flow."""
        single = (self.sampler, self.verifier, self.optimizer)
        several = (*self.rewards, *self.filters, *self.probes)
        return (self.objective, self.schedule, *(s for s in single if s is not None), *several)


def phase_roles(resolved: Resolved) -> tuple[PhaseRoles, ...]:
    """The phases in the order in which they run, each with those who serve it."""
    phases = resolved.spec.phases
    return tuple(_site(resolved, index, phases[index]) for index in running_order(phases))


def with_following(phases: Sequence[T]) -> Iterator[tuple[T, T | None]]:
    """Each with the one that comes after it, the last with None."""
    return zip_longest(phases, phases[1:])


def running_order(phases: Sequence[PhaseSpec]) -> list[int]:
    """Indices in file order, except that a phase with `after` follows the one it names (and those already put there).

    Phases whose `after` is in a cycle, or names nothing, keep their place in the file: they are diagnosed elsewhere.
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
    """What `phase.data` says as shares that sum to 1."""
    if isinstance(data, str):
        return {data: 1.0}
    total = sum(data.values())
    return {name: weight / total for name, weight in data.items()}


def _site(resolved: Resolved, index: int, phase: PhaseSpec) -> PhaseRoles:
    path = f"phases[{index}]"

    def served(at: str) -> Served:
        return Served(at, resolved.built.get(at))

    def one(role: Role) -> Served | None:
        if getattr(phase, role) is not None:
            return served(f"{path}.{role}")
        return served(role) if getattr(resolved.spec, role) is not None else None

    def many(role: ManyRole) -> tuple[Served, ...]:
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


def nested(served: Served) -> Iterator[tuple[str, Built]]:
    """The component and, depth first, everything in its slots, each with its path."""
    if served.built is not None:
        yield from _with_slots(served.path, served.built)


def _with_slots(path: str, built: Built) -> Iterator[tuple[str, Built]]:
    yield path, built
    for setting, inner in built.slots.items():
        if isinstance(inner, Built):
            yield from _with_slots(f"{path}.{setting}", inner)
        else:
            for number, one in enumerate(inner or ()):
                yield from _with_slots(f"{path}.{setting}[{number}]", one)
