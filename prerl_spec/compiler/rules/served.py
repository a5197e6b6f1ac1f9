"""A component at its place in a spec, typed by its kind's Protocol; the only place where the compiler assumes the type."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from prerl_spec.compiler.resolve.resolved import Built, Resolved
from prerl_spec.language.document import join_path
from prerl_spec.registry.kinds.data import Data
from prerl_spec.registry.kinds.evaluator import Evaluator
from prerl_spec.registry.kinds.model import Adapter, Model

C_co = TypeVar("C_co", covariant=True)


@dataclass(frozen=True)
class Served(Generic[C_co]):
    """A component in a role, typed by its kind's Protocol: `Served[Objective]("phases[0].objective", built)`.

    `built` is None if the component is invalid.
    """

    path: str
    built: Built | None

    @property
    def component(self) -> C_co | None:
        """The component; None if it is invalid or lacks a member of its kind, which no plan and no run accepts."""
        if self.built is None or not self.built.is_complete:
            return None
        return cast(C_co, self.built.component)

    @property
    def planned(self) -> C_co:
        """The component, in a spec without errors whose components have all members: what `make_plan` begins with."""
        component = self.component
        assert component is not None, f"the component at {self.path} is not checked before it is planned"
        return component


def served_model(resolved: Resolved) -> Served[Model]:
    return Served("model", resolved.built.get("model"))


def served_adapter(resolved: Resolved) -> Served[Adapter] | None:
    """The adapter in a slot of the model; None if it has none."""
    inside = [(path, built) for path, built in nested(served_model(resolved)) if built.kind == "adapter"]
    return Served(*inside[0]) if inside else None


def served_data(resolved: Resolved, name: str) -> Served[Data]:
    path = join_path("data", name)
    return Served(path, resolved.built.get(path))


def served_evaluator(resolved: Resolved, number: int) -> Served[Evaluator]:
    path = f"evaluate[{number}]"
    return Served(path, resolved.built.get(path))


def nested(served: Served[object]) -> Iterator[tuple[str, Built]]:
    """The component and, depth first, all components in its slots, each with its path."""
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
