"""Tries out a component: pre-trains a small model, inspects one batch, and takes some updates."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from prerl_spec.compiler.graph import Graph
from prerl_spec.engine.batches.journal import Journal
from prerl_spec.engine.inspect.warm_up import WarmUp
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

OnStep = Callable[[StepRecord, int], None]
"""Called after each step with its record and the number of steps of its phase."""


@dataclass(frozen=True)
class Trial:
    """The result of a trial: one batch, the terms of both objectives on it, and the records of the steps."""

    batch: Step
    codec: Codec
    tried: list[PartTerms]
    beside: list[PartTerms]
    records: list[StepRecord]


def try_out(graph: Graph, folder: Path, on_step: OnStep, warm_up: WarmUp | None = None) -> Trial:
    """Runs the first phase of the graph, then the second; only the objective of the third is used, for comparison.

    The first phase is not run where `warm_up` holds the weights that it ends with. Raises RunFailed, EnvironmentUnmet,
    Interrupted. Writes a journal below `folder`, no checkpoint.
    """
    learn, tried, beside = graph.phases
    ranks = Ranks.start()
    with Signals() as signals, open_session(graph, folder, ranks, Silence(), signals) as session:
        journal = Journal(folder / "journal", writes=True)
        learnt = None if warm_up is None else warm_up.load(session.policy)
        if learnt is None:
            at, _ = _steps(PhaseRunner(learn, session, journal, {}, None), Position(), on_step)
            if warm_up is not None:
                warm_up.save(session.policy, at)
        else:
            at = learnt
        at = at.next_phase(carry_lr=False, restart_data=True)
        reference = reference_of(session.policy)
        opened = PhaseRunner(tried, session, journal, {}, reference)
        batch = opened.batch(at)
        mine, theirs = (
            token_terms(
                phase.objective.component, batch, session.policy, ranks, reference=reference, teachers=session.teachers
            )
            for phase in (tried, beside)
        )
        _, records = _steps(opened, at, on_step)
        return Trial(batch, session.policy.codec, mine, theirs, records)


def _steps(opened: PhaseRunner, at: Position, on_step: OnStep) -> tuple[Position, list[StepRecord]]:
    steps = opened.phase.schedule.component.max_steps
    assert steps is not None, "a trial's phases have a fixed number of steps"
    records: list[StepRecord] = []
    for _ in range(steps):
        record, cursor, components, _ = opened.step(at, {})
        at = at.after_step(record, cursor, components, {}, False)
        records.append(record)
        on_step(record, steps)
    return at, records
