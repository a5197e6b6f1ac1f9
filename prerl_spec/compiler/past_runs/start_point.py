"""Finds the checkpoint that `start.from` names: the end of a run's phase, RUN@PHASE, or a folder of its checkpoints.

No tensor is read: a checkpoint lists the hash of each of its files, so that its content is known without reading weights.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from prerl_spec.compiler.past_runs.run_folder import is_live, require_run_folder
from prerl_spec.compiler.plan import PhasePlan, Plan, StartPlan, StartPoint
from prerl_spec.errors import Drift, EnvironmentUnmet, UsageError
from prerl_spec.storage.checkpoint_files import FOLDER, REFERENCE, STATE, Listed, folder_name, read_listed
from prerl_spec.storage.run_events import read_run_events
from prerl_spec.storage.sealed import read_object

_NAMED = re.compile(r"(.+)@([a-z][a-z0-9_]*)")
_NO_RUN = "name a run and one of its phases, RUN@PHASE, or a folder of a run's checkpoints"


def planned_start(origin: str, folders: Sequence[Path]) -> StartPlan:
    """`start.from` as far as this machine can tell; RUN may be below any of these folders. Raises Damaged."""
    run, phase = named(origin)
    places = tuple(dict.fromkeys(os.path.abspath(folder / os.path.expanduser(run)) for folder in folders))
    sought = StartPlan(origin, places, phase, None)
    try:
        return replace(sought, found=find(sought))
    except UsageError as error:
        return replace(sought, unknown=error.message, hint=error.hint)


def named(origin: str) -> tuple[str, str | None]:
    """Run and phase of RUN@PHASE; a checkpoint folder has no phase."""
    found = _NAMED.fullmatch(origin)
    return (origin, None) if found is None else (found[1], found[2])


def find(sought: StartPlan) -> StartPoint:
    """The checkpoint that is meant. Raises UsageError, which says what would be right, and Damaged."""
    existing = [Path(place) for place in sought.places if os.path.isdir(place)]
    if not existing:
        raise UsageError(f"there is no folder {' or '.join(sought.places)}", hint=_NO_RUN)
    place = next((folder for folder in existing if (folder / "plan.json").is_file()), existing[0])
    return _end_of(place, sought.phase) if sought.phase is not None else _checkpoint(place)


def start_here(start: StartPlan) -> StartPoint:
    """What a plan starts from, on this machine and now.

    Raises EnvironmentUnmet if it is not there, Drift if it has another content than when the plan was made, Damaged.
    """
    try:
        found = find(start) if start.found is None else _planned_point(start.found)
    except UsageError as error:
        raise EnvironmentUnmet(error.message, hint=error.hint) from error
    if start.found is not None:
        require_same_content(start.found.content, found, "when the plan was made")
    return found


def require_same_content(before: str, now: StartPoint, when: str) -> None:
    """Raises Drift for a start of another content."""
    if before != now.content:
        raise Drift(
            f"start.from: {now.checkpoint} has changed: content {before[:12]} {when}, {now.content[:12]} now",
            hint="restore it, or start another run",
        )


def may_hold(run: Path, start: StartPoint) -> bool:
    """Whether the start may be one of this run: the checkpoint there has its content, or is there no more. Raises Damaged."""
    folder = run / FOLDER / Path(start.checkpoint).name
    try:
        return _point(source_plan(run), folder, ended=start.ended).content == start.content
    except (FileNotFoundError, UsageError):
        return True


def ended_phases(plan: Plan, run: Path) -> dict[str, int]:
    """Phase -> global step of its end, of every phase that has ended and has not been given more steps. Raises Damaged."""
    ends: dict[str, int] = {}
    for event in read_run_events(run).entries:
        if event["event"] == "phase" and event["state"] == "end":
            ends[event["phase"]] = event["global_step"]
        elif event["event"] == "step" and event["global_step"] > ends.get(event["phase"], event["global_step"]):
            del ends[event["phase"]]
    return {phase.id: ends[phase.id] for phase in plan.phases if phase.id in ends}


def source_plan(run: Path) -> Plan:
    """The plan of a run. Raises UsageError for a folder that is no run of this version, Damaged."""
    require_run_folder(run)
    return _plan(run)


def initial_model(plan: Plan) -> str:
    """SHA-256 over what decides the initial weights of a run: the model and, where they are drawn, the seed."""
    settings = plan.model.settings
    is_drawn = "name" not in settings and settings.get("seed") is None
    model = [plan.model.use, plan.model.distribution, dict(settings)]
    return _hash({"model": model, "seed": plan.seed if is_drawn else None})


def _planned_point(planned: StartPoint) -> StartPoint:
    """The checkpoint of a plan, even if the run has gone on since, and its phase ends elsewhere now."""
    folder = Path(planned.checkpoint)
    if not folder.is_dir():
        raise UsageError(f"the checkpoint {folder} is gone", hint="restore it from a copy")
    return _point(source_plan(Path(planned.run)), folder, ended=planned.ended)


def _end_of(run: Path, phase: str) -> StartPoint:
    plan = source_plan(run)
    ends = ended_phases(plan, run)
    ready = ", ".join(f"{run}@{name}" for name in ends)
    hint = f"these phases have ended: {ready}" if ready else "none of its phases has ended yet"
    if phase not in {planned.id for planned in plan.phases}:
        if plan.start is not None:
            again = "its own spec, run with --set, goes on from there in another way"
            hint = f"{hint}; the run itself started from {plan.start.origin}: {again}"
        raise UsageError(f"the run in {run} has no phase `{phase}`", hint=hint)
    if phase not in ends:
        state = "the run is live" if is_live(run) else f"finish it with `prerl-spec resume {run}`"
        raise UsageError(f"phase `{phase}` of the run in {run} has not ended; {state}", hint=hint)
    folder = run / FOLDER / folder_name(ends[phase])
    if not folder.is_dir():
        raise UsageError(
            f"phase `{phase}` of the run in {run} ended with step {ends[phase]}, and its checkpoint {folder} is gone",
            hint="restore it from a copy, or start from another phase",
        )
    return _point(plan, folder, ended=True)


def _checkpoint(folder: Path) -> StartPoint:
    if (folder / "plan.json").is_file():
        ready = ", ".join(f"{folder}@{name}" for name in ended_phases(source_plan(folder), folder))
        raise UsageError(
            f"{folder} is a run, and no phase of it is named",
            hint=f"name one that has ended: {ready}" if ready else "none of its phases has ended yet",
        )
    run = folder.parent.parent
    if folder.parent.name != FOLDER or not (folder / STATE).is_file():
        raise UsageError(f"{folder} is neither a run nor a checkpoint of one", hint=_NO_RUN)
    plan = source_plan(run)
    ends = ended_phases(plan, run)
    return _point(plan, folder, ended=folder.name in {folder_name(step) for step in ends.values()})


def _plan(run: Path) -> Plan:
    try:
        return Plan.from_json(read_object(run / "plan.json"))
    except FileNotFoundError as error:
        raise UsageError(f"{run} is not a run folder: it has no plan.json", hint=_NO_RUN) from error
    except (ValueError, ValidationError) as error:
        raise UsageError(f"{run / 'plan.json'} is not a plan of this version", hint=_NO_RUN) from error


def _point(plan: Plan, folder: Path, *, ended: bool) -> StartPoint:
    listed = read_listed(folder)
    state, phase = listed.state, plan.phases[listed.state["phase"]]
    settings, run = phase.schedule.settings, folder.parent.parent
    keeps = settings["reference"] == "keep"
    point = StartPoint(
        run=str(run),
        phase=phase.id,
        ended=ended,
        checkpoint=str(folder),
        content="",
        step=state["step"],
        global_step=state["global_step"],
        generated_tokens=state["generated_tokens"],
        trained_tokens=state["trained_tokens"],
        max_steps=phase.steps,
        optimizer=settings["optimizer"],
        optimizer_use=(phase.optimizer.use, phase.optimizer.distribution),
        lr_schedule=settings["lr_schedule"],
        reference=settings["reference"],
        data=settings["data"],
        kept_reference=_kept_reference(plan, run, listed, folder) if keeps else None,
        initial_model=_root_model(plan),
    )
    return replace(point, content=_content(point, listed, phase))


def _kept_reference(plan: Plan, run: Path, listed: Listed, folder: Path) -> str | None:
    """Where the reference model lies that a phase leaves to the next one; a run saves it only if a phase uses it."""
    if REFERENCE in listed.files:
        return str(folder / REFERENCE)
    before = plan.phases[: listed.state["phase"]]
    ends = ended_phases(plan, run)
    resynced = [phase.id for phase in before if phase.schedule.settings["reference"] == "resync" and phase.id in ends]
    if resynced:
        return str(run / FOLDER / folder_name(ends[resynced[-1]]))
    earlier = None if plan.start is None else plan.start.found
    if earlier is None:
        return None
    return earlier.checkpoint if earlier.reference == "resync" else earlier.kept_reference


def _root_model(plan: Plan) -> str:
    earlier = None if plan.start is None else plan.start.found
    return initial_model(plan) if earlier is None else earlier.initial_model


def _content(point: StartPoint, listed: Listed, phase: PhasePlan) -> str:
    """Paths and times are left out: a run that was computed again elsewhere has the same content."""
    kept = None
    if point.kept_reference is not None:
        where = Path(point.kept_reference)
        kept = listed.files[REFERENCE] if where.is_file() else _weights(read_listed(where).files)
    return _hash(
        {
            "files": {name: content for name, content in listed.files.items() if name != STATE},
            "position": {key: value for key, value in listed.state.items() if key != "events"},
            # Where the learning rate starts anew, more steps of an ended phase change nothing.
            "max_steps": point.max_steps if point.lr_schedule == "carry" else None,
            "hand_over": [point.optimizer, point.optimizer_use, point.lr_schedule, point.reference, point.data],
            "kept_reference": kept,
            "initial_model": point.initial_model if point.reference == "keep" else None,
            "phase": phase.id,
        }
    )


def _weights(files: Mapping[str, str]) -> dict[str, str]:
    return {name: content for name, content in files.items() if "/" not in name and name.endswith(".safetensors")}


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
