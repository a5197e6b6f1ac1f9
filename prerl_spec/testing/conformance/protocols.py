"""Checks that a component has every member of its kind's Protocol, with the parameters that the engine passes."""

import inspect
from typing import Any

from prerl_spec.registry.component import Component
from prerl_spec.registry.kind_protocols import OF_PARTS, expected_members, missing_members, parts_of


def faults(component: Component) -> list[str]:
    """Members that are missing, or do not accept the parameters that the engine passes."""
    parts = parts_of(component)
    missing = missing_members(component)
    found = [*(fault for part in parts for fault in faults(part)), *(f"`{name}` is missing" for name in missing)]
    for name, expected in expected_members(component).items():
        if name not in missing and not (parts and name in OF_PARTS) and inspect.isfunction(expected):
            found += _parameter_faults(name, expected, getattr(component, name))
    return found


def _parameter_faults(name: str, expected: Any, actual: Any) -> list[str]:
    if not callable(actual):
        return [f"`{name}` is not a method"]
    parameters = list(inspect.signature(expected).parameters.values())[1:]
    try:
        inspect.signature(actual).bind(*(p.name for p in parameters))
    except TypeError as error:
        return [f"`{name}` is called with ({', '.join(p.name for p in parameters)}): {error}"]
    return []
