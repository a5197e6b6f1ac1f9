"""The Protocol of each kind, the members of it that a component lacks, and the base classes that provide them."""

import inspect
from collections.abc import Mapping
from typing import Any

from prerl_spec.codes import Code
from prerl_spec.errors import EnvironmentUnmet
from prerl_spec.needs import View
from prerl_spec.registry.component import Component
from prerl_spec.registry.kind_names import Kind
from prerl_spec.registry.kinds.data import Data
from prerl_spec.registry.kinds.evaluator import Evaluator
from prerl_spec.registry.kinds.judging import Filter, Reward, Verifier
from prerl_spec.registry.kinds.model import Adapter, Model
from prerl_spec.registry.kinds.objective import Objective
from prerl_spec.registry.kinds.objective_parts import Advantage, Correction, Ramp, Selection, Surrogate
from prerl_spec.registry.kinds.sampler import Sampler
from prerl_spec.registry.kinds.schedule import Optimizer, Schedule
from prerl_spec.registry.kinds.watching import Probe, Tracker, UpdateProbe

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
    "advantage": Advantage,
    "selection": Selection,
    "surrogate": Surrogate,
    "correction": Correction,
    "ramp": Ramp,
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
    "advantage": "Advantage",
    "selection": "Selection",
    "surrogate": "Surrogate",
    "correction": "Correction",
    "ramp": "Ramp",
    "verifier": "BinaryVerifier",
    "schedule": "Handover",
    "evaluator": "EvaluatorSettings",
}
"""What authors may subclass in place of Component."""

_ABSENT = object()
OF_PARTS = ("needs", "reads", "credit", "credits", "terms", "measures")
"""Members of an objective that the engine uses on its parts only."""


HOOKS = ("before", "after")
"""A probe that has one of them is an UpdateProbe: it would never be called if it lacked another member of that Protocol."""


def members(kind: Kind) -> tuple[str, ...]:
    """Public names of the kind's Protocol, in order of declaration."""
    return _names(PROTOCOLS[kind])


def expected_members(component: Component) -> Mapping[str, Any]:
    """Every member that a component must have, as its Protocol declares it; None for an annotation alone."""
    protocols = [PROTOCOLS[component.kind]]
    if component.kind == "probe" and any(_has(component, hook) for hook in HOOKS):
        protocols.append(UpdateProbe)
    return {name: vars(protocol).get(name) for protocol in protocols for name in _names(protocol)}


def _names(protocol: type) -> tuple[str, ...]:
    names = [*inspect.get_annotations(protocol), *vars(protocol)]
    return tuple(dict.fromkeys(n for n in names if not n.startswith("_")))


def _has(component: Component, name: str) -> bool:
    return inspect.getattr_static(component, name, _ABSENT) is not _ABSENT


def missing_members(component: Component) -> list[str]:
    """Members of its kind's Protocol that a component lacks; a sum of objectives needs no `OF_PARTS`.

    Looked up without running properties: those of a plugin may raise anything.
    """
    absent = [name for name in expected_members(component) if not _has(component, name)]
    return [name for name in absent if name not in OF_PARTS or not parts_of(component)]


def require_members(component: Component, use: str, distribution: str) -> None:
    """Raises EnvironmentUnmet (E0305) for a component that lacks a member of its kind's Protocol."""
    if not (missing := missing_members(component)):
        return
    base = BASES.get(component.kind)
    raise EnvironmentUnmet(
        f"{Code.PLUGIN_DECLARATION}: the {component.kind} `{use}` of {distribution} lacks "
        f"{', '.join(f'`{name}`' for name in missing)}",
        hint="update it" if base is None else f"update it: `{base}` of prerl_spec.sdk provides default members",
    )


def parts_of(component: Any) -> tuple[Component, ...]:
    """The parts of a sum of objectives; empty for any other component."""
    parts = component.parts() if component.kind == "objective" and hasattr(component, "parts") else ()
    return () if parts == (component,) else tuple(parts)
