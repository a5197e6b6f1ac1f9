"""The states of an objective's components, by path: where they begin, what each component sees, what follows a step."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import numpy as np

from prerl_spec.errors import RunFailed
from prerl_spec.needs import Batch, Need, State, states_below
from prerl_spec.registry.component import Component
from prerl_spec.registry.kind_protocols import parts_of
from prerl_spec.registry.kinds.objective import Objective
from prerl_spec.registry.kinds.stateful import Stateful
from prerl_spec.registry.nested_components import nested_components
from prerl_spec.types import Array, Step, StepRecord

States = Mapping[str, State]
"""Path of a component in its phase ("objective", "objective.terms[1].advantage") -> its state."""

Read = Callable[[Iterable[Need]], Mapping[Need, Array]]
"""The vectors [N] of a batch."""


Calling = Callable[[object, str], AbstractContextManager[None]]


def _plainly(component: object, method: str) -> AbstractContextManager[None]:
    return nullcontext()


class _Place(NamedTuple):
    """A stateful component: its part of the objective, its slot there ("" is the part itself), and its path."""

    part: int
    slot: str
    path: str
    component: Any


def initial_states(objective: Objective | Component) -> dict[str, State]:
    """The states at a phase's start; empty if no component has one. Raises RunFailed for a state of anything but finite
    numbers."""
    return {place.path: _checked(place, "initial", place.component.initial()) for place in _places(objective)}


def states_of_parts(objective: Objective | Component, states: States) -> list[dict[str, State]]:
    """For each part of the objective, the states of its components by slot: "" is the part itself, else "advantage"."""
    by_part: list[dict[str, State]] = [{} for _ in _parts(objective)]
    for place in _places(objective):
        by_part[place.part][place.slot] = states[place.path]
    return by_part


def batch_of(step: Step, reads: Iterable[Need], read: Read, inner: Mapping[str, State]) -> Batch:
    """A batch as a component sees it whose own state is `inner[""]`."""
    return Batch(step, read(reads), inner.get("", {}), inner)


def first_batch(component: Any, step: Step, read: Read) -> Batch:
    """A phase's first batch as a component sees it: a part of an objective, or an advantage by itself."""
    (inner,) = states_of_parts(component, initial_states(component))
    return batch_of(step, component.reads(), read, inner)


def states_after(
    objective: Objective | Component,
    step: Step,
    read: Read,
    record: StepRecord,
    states: States,
    calling: Calling = _plainly,
) -> dict[str, State]:
    """The states after a step; `calling(component, method)` is entered around each call of a component. Raises RunFailed,
    with the component, for a state of anything but finite numbers."""
    by_part = states_of_parts(objective, states)
    found: dict[str, State] = {}
    for place in _places(objective):
        reads = place.component.reads() if hasattr(place.component, "reads") else frozenset()
        inner = states_below(by_part[place.part], place.slot)
        batch = batch_of(step, reads, read, inner)
        with calling(place.component, "after"):
            new = place.component.after(batch, record, states[place.path])
        found[place.path] = _checked(place, "after", new)
    return found


def to_json(states: States) -> dict[str, dict[str, Any]]:
    return {
        path: {k: list(v) if isinstance(v, tuple) else v for k, v in state.items()} for path, state in states.items()
    }


def from_json(states: Mapping[str, Mapping[str, Any]]) -> dict[str, State]:
    """The inverse of `to_json`."""
    return {
        path: {k: tuple(v) if isinstance(v, list) else v for k, v in state.items()} for path, state in states.items()
    }


def _places(objective: Objective | Component) -> Iterator[_Place]:
    for number, (path, part) in enumerate(_parts(objective)):
        for inner_path, component in nested_components(part, path):
            if isinstance(component, Stateful):
                slot = inner_path.removeprefix(path).removeprefix(".")
                yield _Place(number, slot, inner_path, component)


def _parts(objective: Objective | Component) -> list[tuple[str, Any]]:
    """The parts with their paths. A sum may return its terms with settings that their neighbours decide, in their order.
    The laws of an advantage ask for it by itself."""
    if isinstance(objective, Component) and objective.kind != "objective":
        return [(objective.kind, objective)]
    whole: Any = objective
    parts = whole.parts()
    paths = [path for path, _ in _leaves(objective, "objective")]
    if len(paths) != len(parts):
        paths = [f"objective.parts[{number}]" for number in range(len(parts))]
    return list(zip(paths, parts, strict=True))


def _leaves(objective: Any, path: str) -> Iterator[tuple[str, Component]]:
    if not parts_of(objective):
        yield path, objective
        return
    for setting in type(objective).model_fields:
        value = getattr(objective, setting)
        for number, item in enumerate(value if isinstance(value, tuple) else ()):
            if isinstance(item, Component) and item.kind == "objective":
                yield from _leaves(item, f"{path}.{setting}[{number}]")
        if isinstance(value, Component) and value.kind == "objective":
            yield from _leaves(value, f"{path}.{setting}")


def _checked(place: _Place, method: str, state: Any) -> State:
    """The state as plain floats. Raises RunFailed unless it is a mapping of names to finite numbers or tuples of them."""
    where = f"{type(place.component).__name__}.{method}() at {place.path}"
    if not isinstance(state, Mapping):
        raise _no_state(where, f"returns {_short(state)}")
    found: dict[str, float | tuple[float, ...]] = {}
    for name, value in state.items():
        numbers: Sequence[Any] = value if isinstance(value, tuple) else (value,)
        if not isinstance(name, str) or not all(_is_finite(number) for number in numbers):
            raise _no_state(where, f"returns {name!r} = {_short(value)}")
        plain = tuple(float(number) for number in numbers)
        found[name] = plain if isinstance(value, tuple) else plain[0]
    return found


def _is_finite(number: Any) -> bool:
    is_number = isinstance(number, int | float | np.floating | np.integer) and not isinstance(number, bool)
    return is_number and math.isfinite(number)


def _no_state(where: str, what: str) -> RunFailed:
    return RunFailed(
        f"{where} {what}: a state holds finite numbers, or tuples of them, by name", hint="fix the component's state"
    )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
