"""How evaluators render questions where their settings leave it open: as the first phase's data set does.

A run of later phases alone, a study's cell or a fork, has another first phase. Its evaluators are told what those of the whole
run do, or their scores could not be compared.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from prerl_spec.compiler.build_graph import rebuild_component, registry_of
from prerl_spec.compiler.plan import EvaluatorPlan, Plan
from prerl_spec.types import Rendering

_OPEN = ("system", "chat")
"""Settings of an evaluator that are those of the first phase's data set where they are None."""


def declared_rendering(data: object) -> Rendering:
    """That of a data set, from its declaration alone: no row is read. One that does not say so has the default."""
    found = getattr(data, "rendering", None)
    return found if isinstance(found, Rendering) else Rendering()


def default_rendering(plan: Plan) -> Rendering:
    """What a plan's evaluators render questions with unless they say otherwise. Raises EnvironmentUnmet, Drift."""
    if not plan.phases:
        return Rendering()
    name = next(iter(plan.phases[0].data))
    return declared_rendering(rebuild_component(plan.data[name].component, registry_of(plan)))


def left_open(settings: Mapping[str, Any], whole: Rendering, left: Rendering) -> dict[str, Any]:
    """The settings that an evaluator must be given, so that it renders by `whole` where its default has become `left`."""
    said = {"system": whole.system or "", "chat": whole.chat if whole.chat == "off" else dict(whole.chat)}
    now = {"system": left.system or "", "chat": left.chat if left.chat == "off" else dict(left.chat)}
    return {key: said[key] for key in _OPEN if key in settings and settings[key] is None and said[key] != now[key]}


def rendered_as_in(whole: Plan, left: Plan) -> tuple[EvaluatorPlan, ...]:
    """The evaluators of `left`, a plan of later phases of `whole`. Raises EnvironmentUnmet, Drift."""
    if not any(evaluator.component.settings.keys() & set(_OPEN) for evaluator in left.evaluators):
        return left.evaluators
    said, now = default_rendering(whole), default_rendering(left)
    return tuple(_given(evaluator, left_open(evaluator.component.settings, said, now)) for evaluator in left.evaluators)


def _given(evaluator: EvaluatorPlan, settings: Mapping[str, Any]) -> EvaluatorPlan:
    component = evaluator.component
    return replace(evaluator, component=replace(component, settings={**component.settings, **settings}))
