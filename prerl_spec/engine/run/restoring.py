"""Where a run goes on: the newest valid checkpoint, put back into the policy and its reference."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from prerl_spec.engine.policy.reference import Reference
from prerl_spec.engine.policy.weights import load_transformers
from prerl_spec.engine.record import checkpoint
from prerl_spec.engine.record.events import EventLog
from prerl_spec.engine.run.position import Position
from prerl_spec.engine.run.session import Session
from prerl_spec.errors import EnvironmentUnmet


@dataclass(frozen=True)
class Restored:
    """Where the run stands now, the optimizer's moments there, and the folder that both came from."""

    position: Position
    moments: Mapping[str, Tensor]
    folder_name: str


def restore(session: Session, reference: Reference | None, events: EventLog) -> Restored | None:
    """Puts the newest valid checkpoint into policy and reference, in place; None where there is none.

    A phase that had used up its steps is open again where the spec has been extended by some. Raises RunFailed for the
    checkpoint of another model, EnvironmentUnmet where the reference's is gone.
    """
    saved = checkpoint.newest(session.folder / "checkpoints")
    if saved is None:
        return None
    load_transformers(session.policy.loaded, saved.folder)
    at = Position.from_json(saved.state)
    if reference is not None:
        kept = saved.tensors("reference")
        reference.load(kept)
        if not kept:
            _go_back_for_the_reference(session, reference, events, saved, at.phase)
    steps = session.graph.phases[at.phase].schedule.component.max_steps
    return Restored(at.reopened(steps), saved.tensors("optimizer"), saved.folder.name)


def _go_back_for_the_reference(
    session: Session, reference: Reference, events: EventLog, saved: checkpoint.Saved, phase: int
) -> None:
    """Where only an extension compares with a reference, no earlier process kept one: it is what the last boundary with a
    resync left, whose checkpoint is always kept; without one, the model as given."""
    resynced = [p.id for p in session.graph.phases[:phase] if p.schedule.component.reference == "resync"]
    ends = [step for name, step in events.phase_ends() if name in resynced[-1:]]
    if not ends:
        return
    folder = saved.folder.parent / checkpoint.folder_name(ends[-1])
    if checkpoint.problems(folder):
        raise EnvironmentUnmet(
            f"the reference is the model at the end of phase `{resynced[-1]}`, and its checkpoint {folder.name} is "
            "missing or damaged",
            hint="bring it back, or start another run",
        )
    load_transformers(session.policy.loaded, folder)
    reference.resync()
    load_transformers(session.policy.loaded, saved.folder)
