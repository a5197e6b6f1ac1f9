"""Second values of settings, and the settings beside them under which they matter, found by trying.

The kit's guesses (`valid_values`), and for a number its half and its double.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Any

from prerl_spec.registry.component import Component
from prerl_spec.testing.conformance.branches import example_settings, valid_values

Observe = Callable[[Component], Any]


def found_by_trying(cls: type[Component], setting: str, observe: Observe) -> tuple[Component, Component] | None:
    """Two components that differ in one setting and in what is observed of them; None if nothing shows a difference.

    First beside the other settings' defaults, then beside one other setting at each of its values.
    """
    base = example_settings(cls)
    beside = ({other: v} for other in cls.model_fields if other != setting for v in second_values(cls, other))
    for context in chain([{}], beside):
        first = _built(cls, {**base, **context})
        for value in second_values(cls, setting) if first is not None else ():
            second = _built(cls, {**base, **context, setting: value})
            if first is not None and second is not None and observe(first) != observe(second):
                return first, second
    return None


@cache
def second_values(cls: type[Component], setting: str) -> Sequence[Any]:
    """Valid values of a setting, beside the required ones, other than the one that it has there."""
    base = example_settings(cls)
    own = getattr(cls.model_validate(base), setting)
    found: list[Any] = []
    for value in (*valid_values(cls, setting), *_around(own)):
        built = _built(cls, {**base, setting: value})
        if built is not None and not _same(getattr(built, setting), own) and value not in found:
            found.append(value)
    return found


def _around(value: Any) -> Iterator[float]:
    if isinstance(value, float):
        yield from (value / 2, 2 * value)


def _same(value: Any, other: Any) -> bool:
    return type(value) is type(other) and bool(value == other)


def _built(cls: type[Component], settings: dict[str, Any]) -> Component | None:
    """The component, or None where its settings contradict each other."""
    try:
        return cls.model_validate(settings)
    except ValueError:
        return None
