"""One phase, opened: where its batches come from, what trains on them, and one step of it."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor

from prerl_spec.compiler.graph import Phase
from prerl_spec.compiler.objective_needs import Needs
from prerl_spec.engine.batches.cursor import Cursor
from prerl_spec.engine.batches.journal import Journal
from prerl_spec.engine.batches.source import Documents, Rollouts, Source
from prerl_spec.engine.policy.reference import Reference
from prerl_spec.engine.run.position import Position
from prerl_spec.engine.run.session import Session
from prerl_spec.engine.training.metrics import probe, sampled_metrics, trained_metrics
from prerl_spec.engine.training.trainer import Trained, Trainer
from prerl_spec.engine.training.updater import Updater
from prerl_spec.types import Step, StepRecord


class PhaseRunner:
    """A phase with its source and its trainer; `moments` are what its optimizer inherits."""

    def __init__(
        self,
        phase: Phase,
        session: Session,
        journal: Journal,
        moments: Mapping[str, Tensor],
        reference: Reference | None,
    ) -> None:
        self.phase = phase
        self.new_clock: Callable[[], Clock] = Clock
        """Times a step; a calibration traces by it, too."""
        self._session = session
        self._journal = journal
        self.updater = Updater(phase.optimizer.component, session.policy.parameters(), session.ranks)
        self.updater.load_state(moments)
        self._source = self._open_source()
        self._trainer = Trainer(
            session.policy,
            self.updater,
            phase.objective.component,
            phase.updates_per_batch,
            phase.tokens_per_pass,
            session.ranks,
            reference,
            session.stages.tick,
        )

    def step(self, at: Position, scores: Mapping[str, float]) -> tuple[StepRecord, Cursor]:
        """The next step after a position: its record and the data position behind it. `scores` go into the record, for
        schedules that watch one. Raises Interrupted before anything is trained, RunFailed."""
        clock = self.new_clock()
        with clock("total"):
            step, cursor = self._source.collect(at.step + 1, at.global_step + 1, at.cursor, clock)
            self._session.stages.stop_if_asked()
            with clock("train"):
                lr = self.updater.set_lr(at.lr_offset + at.step, self._lr_steps(at))
                watched = self._watched(step)
                trained = self._trainer.train(step)
            self._session.samplers.weights_changed(at.updates + len(trained.updates), self.phase.sampler)
        metrics = {**watched, **trained_metrics(trained, len(step.groups), lr)}
        return _record(self.phase, step, trained, clock, metrics, scores), cursor

    def batch(self, at: Position) -> Step:
        """The batch of the next step after a position, not trained on; `step` then takes it from the journal."""
        return self._source.collect(at.step + 1, at.global_step + 1, at.cursor, Clock())[0]

    def _watched(self, step: Step) -> dict[str, float]:
        """The metrics of a step before it is trained on."""
        if self.phase.sampler is None:
            return {}
        needs = Needs.of(self.phase.objective.component, self.phase.updates_per_batch)
        metrics = probe(
            step,
            self._session.policy,
            self._session.ranks,
            needs.differentiated,
            whole=needs.compares_with_sampler,
            budget=self.phase.tokens_per_pass,
        )
        metrics |= sampled_metrics(step)
        for named in self.phase.probes:
            if step.step % named.component.every == 0:
                # The engine's own metrics keep their names, whatever a probe calls its own.
                metrics = {**{k: float(v) for k, v in named.component.measure(step).items()}, **metrics}
        return metrics

    def _lr_steps(self, at: Position) -> int | None:
        """Steps of the learning rate's whole course: this phase's and those of the phases it is carried through. All are
        counted as planned, so that a phase which ends early makes no jump."""
        steps = self.phase.schedule.component.max_steps
        return None if steps is None else at.lr_planned + int(steps) + self.phase.carried_lr_steps

    def _open_source(self) -> Source:
        session, phase, seed = self._session, self.phase, self._session.graph.run.seed
        codec = session.policy.codec
        if phase.sampler is None:
            return Documents(phase, session.datasets, codec, seed, self._journal, session.policy.max_length)
        return Rollouts(
            phase,
            session.datasets,
            codec,
            seed,
            self._journal,
            session.ranks,
            session.samplers.sampler(phase.sampler),
            session.verifiers.judge,
            session.stages.tick,
        )


class Clock:
    """Seconds by stage of one step."""

    def __init__(self) -> None:
        self.seconds = {"sample": 0.0, "verify": 0.0, "train": 0.0, "total": 0.0}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] += time.perf_counter() - begin


def _record(
    phase: Phase, step: Step, trained: Trained, clock: Clock, metrics: dict[str, float], scores: Mapping[str, float]
) -> StepRecord:
    drawn = 0
    if phase.sampler is not None:
        drawn = sum(len(a.tokens) for g in (*step.groups, *step.discarded) for a in g.attempts)
    return StepRecord(
        phase=phase.id,
        step=step.step,
        global_step=step.global_step,
        updates=trained.num_updates,
        applied=len(trained.updates),
        metrics={k: v for k, v in metrics.items() if math.isfinite(v)},
        generated_tokens=drawn,
        trained_tokens=trained.trained_tokens,
        seconds={k: round(v, 4) for k, v in clock.seconds.items()},
        scores=scores,
    )
