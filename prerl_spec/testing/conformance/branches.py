"""Every branch of every setting, by valid values: a Literal's words, both booleans, and one value per accepted type.

A setting whose valid values cannot be guessed names some: `Field(examples=["train.jsonl"])`.
"""

import types
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from prerl_spec.registry.component import Component, Slot
from prerl_spec.registry.entry_points import PluginFault, installed, load
from prerl_spec.registry.settings import marks_of

INTEGERS = (2, 1, 0, 3, 8, 100)
NUMBERS = (0.5, 2.0, 1.0, 0.1, 1e-3, 10.0, 0.0, -0.5)
TEXTS = ("a", "auto", "0")
MAX_TUPLES = 200


@dataclass(frozen=True)
class Tried:
    """A component with one setting at one of its branches; `key` is None for the component with its default settings, and
    for one whose settings its author chose: `words` are then how they were written."""

    component: Component
    key: str | None = None
    value: Any = None
    words: str = ""

    @property
    def is_default(self) -> bool:
        return self.key is None and not self.words


class Unguessable(Exception):
    """No valid value was found for a branch: its author has to name one."""


def example_settings(cls: type[Component], *, without: Collection[str] = ()) -> dict[str, Any]:
    """Valid values of the required settings that are not in `without`. Raises Unguessable."""
    base: dict[str, Any] = {}
    for key, info in cls.model_fields.items():
        if info.is_required() and key not in without:
            accepted = (
                v for branch in _branches(info.annotation) for v in _candidates(info, branch) if _takes(cls, key, v)
            )
            value = next(accepted, Unguessable)
            if value is Unguessable:
                raise Unguessable(f"`{key}` is required: name a valid value with Field(examples=[…])")
            base[key] = value
    return base


def built_in_name(component: Component) -> str:
    """The name by which a spec uses a built-in that stands in a slot."""
    named = (e for e in installed().entries if e.is_own and e.kind == component.kind)
    return next(entry.name for entry in named if load(entry) is type(component))


def every_branch(cls: type[Component], chosen: Tried | None = None) -> Iterator[Tried]:
    """The component as its author chose it, if so, then with its default settings, then with each branch of each setting;
    required settings are those chosen.

    Raises Unguessable, or ValidationError if the required settings contradict each other.
    """
    if chosen is None:
        base = example_settings(cls)
    else:
        base = {key: getattr(chosen.component, key) for key, info in cls.model_fields.items() if info.is_required()}
        yield chosen
    yield Tried(cls.model_validate(base))
    for key, info in cls.model_fields.items():
        for branch in _branches(info.annotation):
            whole = get_origin(branch) is Literal or branch is bool
            built = [t for v in _candidates(info, branch) if (t := _built(cls, base, key, v)) is not None]
            words = get_args(branch) if get_origin(branch) is Literal else (False, True) if branch is bool else ()
            lost = [w for w in words if w not in [t.value for t in built]]
            if lost or not built:
                what = ", ".join(map(repr, lost)) or f"{getattr(branch, '__name__', branch)}"
                raise Unguessable(f"`{key}`: no valid value for {what}; name one with Field(examples=[…])")
            yield from built if whole else built[:1]


def valid_values(cls: type[Component], key: str) -> list[Any]:
    """Every value of a setting that can be guessed and that the component takes beside its required settings.

    Raises Unguessable if a required setting has none.
    """
    base, info = example_settings(cls), cls.model_fields[key]
    tried = [_built(cls, base, key, v) for branch in _branches(info.annotation) for v in _candidates(info, branch)]
    return [t.value for t in tried if t is not None]


def wrongly_accepted(cls: type[Component]) -> list[str]:
    """Settings that accept a value of another type: a string or true for a number, 1.0 for an integer."""
    found: list[str] = []
    for key, info in cls.model_fields.items():
        kinds = set(_branches(info.annotation))
        if not kinds & {int, float} or str in kinds:
            continue
        wrong: list[Any] = ["1", *([True] if bool not in kinds else []), *([1.0] if float not in kinds else [])]
        found += [f"`{key}` accepts {value!r}" for value in wrong if _takes(cls, key, value)]
    return found


def _built(cls: type[Component], base: Mapping[str, Any], key: str, value: Any) -> Tried | None:
    try:
        return Tried(cls.model_validate({**base, key: value}), key, value)
    except ValidationError:
        return None


def _takes(cls: type[Component], key: str, value: Any) -> bool:
    try:
        cls.model_validate({key: value})
    except ValidationError as error:
        return not any(e["loc"][:1] == (key,) for e in error.errors())
    return True


def _candidates(info: FieldInfo, branch: Any) -> Iterator[Any]:
    """Values that may be valid for a branch, likely ones first."""
    origin = get_origin(branch) or branch
    if origin is Literal:
        yield from get_args(branch)
        return
    declared = [*(info.examples or []), *([] if info.is_required() else [info.get_default(call_default_factory=True)])]
    if origin is not bool:
        yield from (v for v in declared if _is_of(v, branch))
    if branch is type(None):
        yield None
    elif origin is bool:
        yield from (False, True)
    elif origin is int:
        yield from INTEGERS
    elif origin is float:
        yield from NUMBERS
    elif origin is str:
        yield from TEXTS
    elif origin is tuple:
        yield from _tuples(info, get_args(branch))
    elif isinstance(origin, type) and issubclass(origin, Mapping):
        yield {}
    elif isinstance(origin, type) and issubclass(origin, Component):
        yield from _of_slot(info)


def _tuples(info: FieldInfo, arguments: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    lengths = [arguments[:1]] if arguments[1:] == (...,) else [arguments]
    for items in lengths:
        values = [[v for b in _branches(item) for v in _candidates(FieldInfo(annotation=item), b)] for item in items]
        if any(issubclass(b, Component) for item in items for b in _branches(item) if isinstance(b, type)):
            values = [list(_of_slot(info))]
        for number, chosen in enumerate(product(*values)):
            if number < MAX_TUPLES:
                yield chosen


def _of_slot(info: FieldInfo) -> Iterator[Component]:
    """Built-ins of the slot's kind that have no required slots."""
    kinds = [m.kind for m in (*info.metadata, *marks_of(info.annotation)) if isinstance(m, Slot)]
    for entry in installed().entries:
        if entry.is_own and entry.kind in kinds:
            try:
                cls = load(entry)
                if not any(
                    isinstance(m, Slot) for f in cls.model_fields.values() if f.is_required() for m in f.metadata
                ):
                    yield cls.model_validate(example_settings(cls))
            except (PluginFault, Unguessable, ValidationError):
                continue


def _is_of(value: Any, branch: Any) -> bool:
    origin = get_origin(branch) or branch
    return isinstance(origin, type) and (
        type(value) is origin or (origin not in (int, float) and isinstance(value, origin))
    )


def _branches(annotation: Any) -> Iterator[Any]:
    """The alternatives of a union, without metadata; a Literal stays whole."""
    if hasattr(annotation, "__metadata__"):
        yield from _branches(annotation.__origin__)
    elif get_origin(annotation) in (Union, types.UnionType):
        for argument in get_args(annotation):
            yield from _branches(argument)
    else:
        yield annotation
