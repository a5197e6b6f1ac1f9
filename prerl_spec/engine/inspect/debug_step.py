"""Runs one small step for inspection: two prompts (or documents), one update, per-token numbers, then the debugger."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from prerl_spec.compiler.graph import Graph, Phase
from prerl_spec.engine.batches.journal import Journal
from prerl_spec.engine.policy.policy import Policy
from prerl_spec.engine.policy.reference import compares_with_reference, reference_of
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.processes.signals import Signals
from prerl_spec.engine.record.events import Silence
from prerl_spec.engine.run.phase_runner import PhaseRunner
from prerl_spec.engine.run.position import Position
from prerl_spec.engine.run.restoring import begun_from_start
from prerl_spec.engine.run.session import open_session
from prerl_spec.engine.training.token_terms import PartTerms, token_terms
from prerl_spec.types import Step, StepRecord

NUM_PROMPTS = 2


@dataclass(frozen=True)
class Seen:
    """What the debugger shows: the batch, the terms of each part before the update, and the record of the step."""

    step: Step
    parts: list[PartTerms]
    record: StepRecord
    policy: Policy


def debugged_phase(graph: Graph) -> Phase:
    """The first phase that samples, else the first, reduced to two prompts and one update per batch."""
    phase = next((p for p in graph.phases if p.sampler is not None), graph.phases[0])
    size = {"prompts_per_step": NUM_PROMPTS} if phase.sampler is not None else {"documents_per_step": NUM_PROMPTS}
    return replace(phase, updates_per_batch=1, filters=(), **size)  # type: ignore[arg-type]


def debug_step(graph: Graph, folder: Path, look: Callable[[Seen], None]) -> None:
    """Collects one batch from the model that the spec begins with, takes one update, and calls `look` while everything is
    open. One process; no evaluation, filter or checkpoint; the journal is written below `folder`.

    Raises RunFailed, EnvironmentUnmet, Interrupted; for a start, Drift and Damaged too.
    """
    phase = debugged_phase(graph)
    alone = replace(graph, phases=(phase,), evaluators=(), trackers=())
    ranks = Ranks.start()
    with Signals() as signals, open_session(alone, folder, ranks, Silence(), signals) as session:
        reference = reference_of(session.policy) if compares_with_reference([phase]) else None
        begun = begun_from_start(session, reference)
        position = Position() if begun is None else begun.position
        moments = {} if begun is None or phase.id != graph.phases[0].id else begun.moments
        opened = PhaseRunner(phase, session, Journal(folder / "journal", writes=True), moments, reference)
        step = opened.batch(position)
        parts = token_terms(
            phase.objective.component, step, session.policy, ranks, reference=reference, teachers=session.teachers
        )
        record = opened.step(position, {}).record
        look(Seen(step, parts, record, session.policy))
