"""Restores the newest valid checkpoint into the policy, its reference model and the run's position."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from prerl_spec.compiler.past_runs.start_point import require_same_content, start_here
from prerl_spec.compiler.plan import Plan
from prerl_spec.engine.policy.reference import Reference
from prerl_spec.engine.policy.weights import load_transformers
from prerl_spec.engine.record import checkpoint
from prerl_spec.engine.record.events import EventLog, EventsHead
from prerl_spec.engine.run.position import Position, after_phase
from prerl_spec.engine.run.session import Session
from prerl_spec.engine.run.starting import is_base, load_reference, load_start, open_start, scored_there, started_from
from prerl_spec.errors import Damaged, EnvironmentUnmet
from prerl_spec.storage.checkpoint_files import folder_name


@dataclass(frozen=True)
class Restored:
    """The restored position, the optimizer moments, and the name of the checkpoint folder that both came from.

    `start` says which run is continued, where it is the checkpoint of another run.
    """

    position: Position
    moments: Mapping[str, Tensor]
    folder_name: str
    start: Mapping[str, Any] | None = None


def restore(
    session: Session, reference: Reference | None, events: EventLog, *, at_most: int | None = None
) -> Restored | None:
    """Loads the newest valid checkpoint (of a step up to `at_most`) into policy and reference model, in place; without one
    the start that the spec names; None if it names none.

    A phase that has used up its steps is reopened if the spec has been extended since. Raises Damaged if no checkpoint is
    valid or the events are not those that it was written after, RunFailed for the checkpoint of another model,
    EnvironmentUnmet if the checkpoint that holds the reference model is missing.
    """
    saved = checkpoint.newest(session.folder / "checkpoints", at_most=at_most)
    _require_same_on_all_ranks(session, saved, events)
    if saved is None:
        if at_most is None:
            _require_no_commit_so_far(session, events)
        began = None if events.start is None else events.start["content"]
        return begun_from_start(session, reference, began)
    events.require(EventsHead(**saved.state["events"]), saved.folder.name)
    for passed_over in saved.passed_over:
        events.write("warning", message=f"{passed_over}: resuming from {saved.folder.name}")
    load_transformers(session.policy.loaded, saved.folder)
    at = Position.from_json(saved.state)
    if reference is not None:
        kept = saved.tensors("reference")
        reference.load(kept)
        if not kept:
            _restore_unsaved_reference(session, reference, events, saved, at.phase)
    steps = session.graph.phases[at.phase].schedule.component.max_steps
    return Restored(at.reopened(steps), saved.tensors("optimizer"), saved.folder.name)


def _require_no_commit_so_far(session: Session, events: EventLog) -> None:
    """Without any checkpoint a run starts at step 0: raises Damaged if its events tell of one."""
    committed = [e["global_step"] for e in events.past if e["event"] == "checkpoint"]
    if committed:
        folder = session.folder / "checkpoints"
        raise Damaged(
            f"{folder} holds no checkpoint, and the run had committed step {max(committed)}",
            file=folder,
            hint="restore the folder from a copy, or start a new run with --new",
        )


def _require_same_on_all_ranks(session: Session, saved: checkpoint.Saved | None, events: EventLog) -> None:
    """Raises EnvironmentUnmet, on every rank, if the ranks have read another checkpoint or other events: they would go on
    from different steps, and wait for each other for ever."""
    ranks = session.ranks
    found = f"{'no checkpoint' if saved is None else saved.folder.name} and {len(events.past)} events"
    by_rank = ranks.gather([found])
    if other := [rank for rank, words in enumerate(by_rank) if words != by_rank[0]]:
        raise EnvironmentUnmet(
            f"process 0 finds {by_rank[0]} in {session.folder}, process {other[0]} finds {by_rank[other[0]]}",
            hint="check the file system that the nodes share, then re-run the same command to resume",
        )


def begun_from_start(session: Session, reference: Reference | None, began: str | None = None) -> Restored | None:
    """The position, weights, moments and reference model after the phase that `start.from` names; None if it names none.

    `began`: the content that the run has begun with; another one raises Drift.
    """
    plan = Plan.from_json(session.graph.plan)
    if plan.start is None:
        return None
    point = start_here(plan.start)
    if began is not None:
        require_same_content(began, point, "when the run began")
    saved = open_start(session, point)
    if reference is not None:
        load_reference(session, reference, point, plan)
    load_start(session, saved)
    if reference is not None and point.reference == "resync":
        reference.resync()
    carries = not plan.phases or point.carries_moments(plan.phases[0].optimizer)
    own_data = session.graph.run.streams == "phase"
    position = replace(after_phase(Position.from_json(saved.state), point, restart_data=own_data), phase=0)
    moments = saved.tensors("optimizer") if carries else {}
    return Restored(position, moments, str(saved.folder), started_from(plan.start, point, scored_there(plan, point)))


def _restore_unsaved_reference(
    session: Session, reference: Reference, events: EventLog, saved: checkpoint.Saved, phase: int
) -> None:
    """If only an extension of the spec uses a reference model, no earlier process saved one: it is the model at the
    last phase end with a resync, whose checkpoint is always kept; without such a phase, that of the start, or the initial
    model."""
    resynced = [p.id for p in session.graph.phases[:phase] if p.schedule.component.reference == "resync"]
    ends = [step for name, step in events.phase_ends() if name in resynced[-1:]]
    plan = Plan.from_json(session.graph.plan)
    if not ends:
        if plan.start is not None and not is_base(session, plan.start):
            point = start_here(plan.start)
            load_reference(session, reference, point, plan)
            if point.reference == "resync":
                load_start(session, open_start(session, point))
                reference.resync()
            load_transformers(session.policy.loaded, saved.folder)
        return
    folder = saved.folder.parent / folder_name(ends[-1])
    if checkpoint.problems(folder):
        raise EnvironmentUnmet(
            f"the reference is the model at the end of phase `{resynced[-1]}`, and its checkpoint {folder.name} is "
            "missing or damaged",
            hint="restore that checkpoint folder, or start a new run",
        )
    load_transformers(session.policy.loaded, folder)
    reference.resync()
    load_transformers(session.policy.loaded, saved.folder)
