"""The components that the installed distribution declares, by kind."""

import json
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from typing import Any

from prerl_spec.registry.component import Component
from prerl_spec.testing.conformance.branches import example_settings

GROUP = "prerl_spec."


@cache
def built_ins(kind: str) -> dict[str, type[Component]]:
    """Name -> class, in the order of the names."""
    entries = metadata.distribution("prerl-spec").entry_points
    return {e.name: e.load() for e in sorted(entries) if e.group == f"{GROUP}{kind}"}


@cache
def examples(kind: str) -> dict[str, dict[str, Any]]:
    """Name -> settings that make a component: those that are required, at a valid value."""
    return {use: example_settings(cls) for use, cls in built_ins(kind).items()}


def as_toml(value: Any) -> str:
    """A setting as a spec writes it; a component as a table with its `use`."""
    if isinstance(value, Component):
        (use,) = [use for use, cls in built_ins(value.kind).items() if cls is type(value)]
        return table_of(use, {key: getattr(value, key) for key in value.model_fields_set})
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {as_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    return json.dumps(value)


def table_of(use: str, settings: Mapping[str, Any]) -> str:
    return as_toml({"use": use, **settings})
