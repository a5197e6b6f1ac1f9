"""Whether a component can be asked what the engine will ask: every member of its kind's Protocol, with its parameters."""

import inspect
from typing import Any

from prerl_spec.registry.component import Component
from prerl_spec.registry.kind_protocols import OF_PARTS, PROTOCOLS, members, missing_members, parts_of


def faults(component: Component) -> list[str]:
    """What is missing, or takes other parameters than the engine passes."""
    parts = parts_of(component)
    missing = missing_members(component)
    found = [*(fault for part in parts for fault in faults(part)), *(f"`{name}` is missing" for name in missing)]
    for name in members(component.kind):
        asked = vars(PROTOCOLS[component.kind]).get(name)
        if name not in missing and not (parts and name in OF_PARTS) and inspect.isfunction(asked):
            found += _parameter_faults(name, asked, getattr(component, name))
    return found


def _parameter_faults(name: str, asked: Any, given: Any) -> list[str]:
    if not callable(given):
        return [f"`{name}` is no method"]
    parameters = list(inspect.signature(asked).parameters.values())[1:]
    try:
        inspect.signature(given).bind(*(p.name for p in parameters))
    except TypeError as error:
        return [f"`{name}` is called with ({', '.join(p.name for p in parameters)}): {error}"]
    return []
