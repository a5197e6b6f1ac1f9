"""The conditions under which a run, or a spec, scores its models, read from its plan."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from prerl_spec.compiler.build_graph import registry_of, require_local_code_allowed
from prerl_spec.compiler.compile import read_plan
from prerl_spec.compiler.evaluator_rendering import declared_rendering
from prerl_spec.errors import Drift
from prerl_spec.evaluation.installed import component
from prerl_spec.registry import entry_points
from prerl_spec.types import Rendering

BEFORE_THE_FIRST = -1
"""Stands for the index of a phase: the initial model."""


def registry_for(file: Path, plan: Mapping[str, Any], local_code: bool) -> entry_points.Registry:
    """The installed components, plus those of the plan's Python files that scoring calls: its verifiers and data sets. The file
    of an objective, say, is neither run nor compared with the planned one.

    Raises EnvironmentUnmet for Python files that `local_code` does not allow, Drift for one that has changed since the run.
    """
    called = _distributions([plan["data"], *(one["verifier"] for one in (plan, *plan["phases"]))])
    if not any(Path(name).name in called for name in plan.get("plugin_files") or ()):
        return entry_points.installed()
    planned = read_plan(file)
    of_scoring = {name: content for name, content in planned.plugin_files.items() if Path(name).name in called}
    planned = replace(planned, plugin_files=of_scoring)
    require_local_code_allowed(planned, local_code)
    try:
        return registry_of(planned)
    except Drift as drift:
        hint = "restore the file as the run had it; a checkpoint's own folder is scored without the run's verifier"
        raise Drift(drift.message, hint=hint) from drift


def _distributions(planned: Any) -> set[str]:
    """Where the components of a part of a plan come from, those in their slots included."""
    if isinstance(planned, Mapping):
        own = {planned["distribution"]} if isinstance(planned.get("distribution"), str) else set()
        return own.union(*map(_distributions, planned.values()))
    return set().union(*map(_distributions, planned)) if isinstance(planned, list | tuple) else set()


def conditions_of(plan: Mapping[str, Any], phase: int, on: entry_points.Registry) -> dict[str, Any]:
    """Seed, rendering, sampling, verifier and determinism of a plan's evaluators after the phase of this index has ended."""
    phases = plan["phases"]
    ended = [] if phase == BEFORE_THE_FIRST else [phases[phase]]
    serving = {
        role: next((p[role] for p in [*ended, plan, *phases] if p[role] is not None), None)
        for role in ("sampler", "verifier")
    }
    sampling = {} if serving["sampler"] is None else serving["sampler"]["settings"]
    common = ("temperature", "top_p", "top_k", "max_new_tokens", "stop")
    verifier = serving["verifier"]
    return {
        "seed": plan["seed"],
        "rendering": _rendering(plan, on),
        "sampling": {name: sampling[name] for name in common if name in sampling},
        "verifier": None if verifier is None else component("verifier", verifier["use"], verifier["settings"], on),
        "invariant": plan["distributed"]["determinism"] == "invariant",
    }


def _rendering(plan: Mapping[str, Any], on: entry_points.Registry) -> Rendering:
    """The rendering of the first phase's data set."""
    if not plan["phases"]:
        return Rendering()
    planned = plan["data"][next(iter(plan["phases"][0]["data"]))]["component"]
    settings = planned["settings"]
    if "chat" not in settings:
        return declared_rendering(component("data", planned["use"], settings, on))
    return Rendering(chat=settings["chat"], system=settings.get("system"))
