"""The meaning of a plan, which its digest covers: everything that decides results, not where or how fast it runs.

Excluded: the output folder, processes and strategy, a tokens_per_pass chosen by the planner, checkpoints, trackers,
tables passed through to a sampler's engine, estimates, prerequisites, hardware, and versions of distributions.
"""

import json
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from prerl_spec.compiler.plan import ComponentPlan, DataPlan, PhasePlan, Plan, StartPlan


def digest_of_plan(plan: Plan) -> str:
    """SHA-256 over `meaning(plan)` as JSON with sorted keys."""
    text = json.dumps(meaning(plan), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()


def meaning(plan: Plan) -> dict[str, Any]:
    """Everything that decides what is computed, as JSON values."""
    # A plan without `streams` names its streams as one that says "global".
    streams = {} if plan.streams == "global" else {"streams": plan.streams}
    code = sorted([Path(file).name, content] for file, content in plan.code_files.items())
    return {
        "run": {"name": plan.name, "seed": plan.seed, **streams},
        "model": _component(plan.model),
        "data": {name: _data(data) for name, data in plan.data.items()},
        "sampler": _optional(plan.sampler),
        "verifier": _optional(plan.verifier),
        "phases": [_phase(phase) for phase in plan.phases],
        "evaluate": [_component(e.component) for e in plan.evaluators],
        "reference": plan.reference,
        "distributed": {key: plan.distributed[key] for key in ("determinism", "precision")},
        "plugins": {Path(file).name: content for file, content in plan.plugin_files.items()},
        **({"code": code} if code else {}),
        **({"cut": asdict(plan.cut)} if plan.cut is not None else {}),
        **({} if plan.start is None else {"start": {"from": _start(plan.start)}}),
    }


def _start(start: StartPlan) -> str:
    """By content if it could be read: then it does not matter where the run's folder lies."""
    return start.origin if start.found is None else start.found.content


def _component(component: ComponentPlan) -> dict[str, Any]:
    outside = set(component.handed_on) if component.kind == "sampler" else set()
    settings = {k: v for k, v in component.settings.items() if k not in outside and k not in component.files}
    return {
        "use": component.use,
        "distribution": component.distribution,
        "version": component.version,
        "settings": settings,
        "files": {setting: list(hashes) for setting, hashes in component.files.items()},
        "slots": {
            slot: [_component(c) for c in inner] if isinstance(inner, tuple) else _component(inner)
            for slot, inner in component.slots.items()
        },
    }


def _optional(component: ComponentPlan | None) -> dict[str, Any] | None:
    return None if component is None else _component(component)


def _data(data: DataPlan) -> dict[str, Any]:
    """By content if the rows could be read: then neither path nor format of the file matters."""
    component = _component(data.component)
    return component if data.fingerprint is None else {**component, "files": {}, "rows": data.fingerprint}


def _phase(phase: PhasePlan) -> dict[str, Any]:
    return {
        "id": phase.id,
        "data": dict(phase.data),
        "units_per_step": phase.units_per_step,
        "updates_per_batch": phase.updates_per_batch,
        "tokens_per_pass": phase.tokens_per_pass if phase.tokens_per_pass_written else None,
        "objective": _component(phase.objective),
        "schedule": _component(phase.schedule),
        "optimizer": _component(phase.optimizer),
        "sampler": _optional(phase.sampler),
        "verifier": _optional(phase.verifier),
        "rewards": [_component(c) for c in phase.rewards],
        "filters": [_component(c) for c in phase.filters],
        "probes": [_component(c) for c in phase.probes],
    }
