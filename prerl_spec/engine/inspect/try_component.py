"""An objective tried out: a small model is pre-trained, one batch is looked at, and some updates are taken."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from prerl_spec.compiler.graph import Graph
from prerl_spec.engine.batches.journal import Journal
from prerl_spec.engine.policy.reference import reference_of
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.processes.signals import Signals
from prerl_spec.engine.record.events import Silence
from prerl_spec.engine.run.phase_runner import PhaseRunner
from prerl_spec.engine.run.position import Position
from prerl_spec.engine.run.session import open_session
from prerl_spec.engine.training.token_terms import PartTerms, token_terms
from prerl_spec.text import Codec
from prerl_spec.types import Step, StepRecord

Told = Callable[[StepRecord, int], None]
"""(the record of a step, steps of its phase)."""


@dataclass(frozen=True)
class Trial:
    """What was seen: one batch, what both objectives say of its tokens, and the mean reward before each update."""

    batch: Step
    codec: Codec
    tried: list[PartTerms]
    beside: list[PartTerms]
    records: list[StepRecord]


def try_out(graph: Graph, folder: Path, told: Told) -> Trial:
    """Runs the first phase of the graph, then the second; the third only lends its objective for the comparison.

    Raises RunFailed, EnvironmentUnmet, Interrupted. Writes a journal below `folder`, no checkpoint.
    """
    learn, tried, beside = graph.phases
    ranks = Ranks.start()
    with Signals() as signals, open_session(graph, folder, ranks, Silence(), signals) as session:
        journal = Journal(folder / "journal", writes=True)
        at, _ = _steps(PhaseRunner(learn, session, journal, {}, None), Position(), told)
        at = at.next_phase(carry_lr=False, restart_data=True)
        reference = reference_of(session.policy)
        opened = PhaseRunner(tried, session, journal, {}, reference)
        batch = opened.batch(at)
        mine, theirs = (
            token_terms(phase.objective.component, batch, session.policy, ranks, reference=reference)
            for phase in (tried, beside)
        )
        _, records = _steps(opened, at, told)
        return Trial(batch, session.policy.codec, mine, theirs, records)


def _steps(opened: PhaseRunner, at: Position, told: Told) -> tuple[Position, list[StepRecord]]:
    steps = opened.phase.schedule.component.max_steps
    assert steps is not None, "a trial's phases have a fixed number of steps"
    records: list[StepRecord] = []
    for _ in range(steps):
        record, cursor = opened.step(at, {})
        at = at.after_step(record, cursor, {}, False)
        records.append(record)
        told(record, steps)
    return at, records
