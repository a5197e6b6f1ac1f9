"""Walks a component and the components in its slots; finds the teachers of an objective among them."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from prerl_spec.needs import Teacher
from prerl_spec.registry.component import Component
from prerl_spec.registry.kinds.model import Model


def nested_components(component: Any, path: str) -> Iterator[tuple[str, Component]]:
    """The component and, depth first, those in its slots, each with its path: "objective.terms[1].teacher"."""
    yield path, component
    for setting in type(component).model_fields:
        value = getattr(component, setting)
        if isinstance(value, Component):
            yield from nested_components(value, f"{path}.{setting}")
        elif isinstance(value, tuple):
            for number, item in enumerate(value):
                if isinstance(item, Component):
                    yield from nested_components(item, f"{path}.{setting}[{number}]")


def teachers_in(objective: Any) -> Mapping[Teacher, Model]:
    """The models in the slots of an objective and of its terms; equal ones once, in a fixed order."""
    models = (inner for _, inner in nested_components(objective, "") if inner.kind == "model")
    return {Teacher.of(model): cast(Model, model) for model in models}
