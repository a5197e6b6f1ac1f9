"""Whether a component can be asked what the engine will ask: every member of its kind's Protocol, with its parameters."""

import inspect
from collections.abc import Mapping
from typing import Any

from prerl_spec.needs import View
from prerl_spec.registry.component import Component, Kind
from prerl_spec.registry.kinds import (
    Adapter,
    Data,
    Evaluator,
    Filter,
    Model,
    Objective,
    Optimizer,
    Probe,
    Reward,
    Sampler,
    Schedule,
    Tracker,
    Verifier,
)

PROTOCOLS: Mapping[Kind, type] = {
    "model": Model,
    "adapter": Adapter,
    "data": Data,
    "view": View,
    "sampler": Sampler,
    "verifier": Verifier,
    "reward": Reward,
    "filter": Filter,
    "objective": Objective,
    "schedule": Schedule,
    "optimizer": Optimizer,
    "probe": Probe,
    "evaluator": Evaluator,
    "tracker": Tracker,
}
BASES: Mapping[Kind, str] = {
    "view": "ContextView",
    "sampler": "SamplerSettings",
    "objective": "OnePartObjective",
    "verifier": "BinaryVerifier",
    "schedule": "Handover",
    "evaluator": "EvaluatorSettings",
}
"""What authors may subclass in place of Component."""

OF_PARTS = ("needs", "reads", "credit", "terms")
"""Members of an objective that the engine asks of its parts alone."""


def members(kind: Kind) -> tuple[str, ...]:
    """Public names of the kind's Protocol, in order of declaration."""
    protocol = PROTOCOLS[kind]
    names = [*inspect.get_annotations(protocol), *vars(protocol)]
    return tuple(dict.fromkeys(n for n in names if not n.startswith("_")))


def faults(component: Component) -> list[str]:
    """What is missing, or takes other parameters than the engine passes."""
    kind = component.kind
    parts = _parts(component)
    found = [fault for part in parts for fault in faults(part)]
    for name in members(kind):
        if parts and name in OF_PARTS:
            continue
        asked = vars(PROTOCOLS[kind]).get(name)
        if not hasattr(component, name):
            found.append(f"`{name}` is missing")
        elif inspect.isfunction(asked):
            found += _parameter_faults(name, asked, getattr(component, name))
    return found


def _parts(component: Any) -> tuple[Component, ...]:
    """What a sum of objectives is made of; nothing for any other component."""
    parts = component.parts() if component.kind == "objective" and hasattr(component, "parts") else ()
    return () if parts == (component,) else tuple(parts)


def _parameter_faults(name: str, asked: Any, given: Any) -> list[str]:
    if not callable(given):
        return [f"`{name}` is no method"]
    parameters = list(inspect.signature(asked).parameters.values())[1:]
    try:
        inspect.signature(given).bind(*(p.name for p in parameters))
    except TypeError as error:
        return [f"`{name}` is called with ({', '.join(p.name for p in parameters)}): {error}"]
    return []
