"""Installed components by their names, with settings that no spec has written."""

from collections.abc import Mapping
from typing import Any

from prerl_spec.errors import EnvironmentUnmet
from prerl_spec.registry import entry_points
from prerl_spec.registry.component import Kind


def declaration(kind: Kind, use: str, on: entry_points.Registry | None = None) -> Any:
    """The class of this name in a registry (default: what is installed). Raises EnvironmentUnmet if missing or broken."""
    providers = (on or entry_points.installed()).providers(kind, use)
    if len(providers) != 1:
        raise EnvironmentUnmet(
            f"the {kind} `{use}` is not installed", hint="`prerl-spec components list` shows what is installed"
        )
    try:
        return entry_points.load(providers[0])
    except entry_points.PluginFault as fault:
        raise EnvironmentUnmet(fault.message, hint=fault.help) from fault


def component(kind: Kind, use: str, settings: Mapping[str, Any], on: entry_points.Registry | None = None) -> Any:
    """A component of a registry with these settings. Raises EnvironmentUnmet as `declaration`, ValidationError."""
    return declaration(kind, use, on).model_validate(dict(settings))
