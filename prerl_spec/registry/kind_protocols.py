"""The Protocol of each kind, the members of it that a component lacks, and the base classes that provide them."""

import inspect
from collections.abc import Mapping
from typing import Any

from prerl_spec.needs import View
from prerl_spec.registry.component import Component
from prerl_spec.registry.kind_names import Kind
from prerl_spec.registry.kinds.data import Data
from prerl_spec.registry.kinds.evaluator import Evaluator
from prerl_spec.registry.kinds.judging import Filter, Reward, Verifier
from prerl_spec.registry.kinds.model import Adapter, Model
from prerl_spec.registry.kinds.objective import Objective
from prerl_spec.registry.kinds.sampler import Sampler
from prerl_spec.registry.kinds.schedule import Optimizer, Schedule
from prerl_spec.registry.kinds.watching import Probe, Tracker

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
"""Members of an objective that the engine uses on its parts only."""


def members(kind: Kind) -> tuple[str, ...]:
    """Public names of the kind's Protocol, in order of declaration."""
    protocol = PROTOCOLS[kind]
    names = [*inspect.get_annotations(protocol), *vars(protocol)]
    return tuple(dict.fromkeys(n for n in names if not n.startswith("_")))


def missing_members(component: Component) -> list[str]:
    """Members of its kind's Protocol that a component lacks; a sum of objectives needs no `OF_PARTS`."""
    left_out = OF_PARTS if parts_of(component) else ()
    return [name for name in members(component.kind) if name not in left_out and not hasattr(component, name)]


def parts_of(component: Any) -> tuple[Component, ...]:
    """The parts of a sum of objectives; empty for any other component."""
    parts = component.parts() if component.kind == "objective" and hasattr(component, "parts") else ()
    return () if parts == (component,) else tuple(parts)
