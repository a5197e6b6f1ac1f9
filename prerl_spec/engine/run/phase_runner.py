"""Runs the steps of one phase: collects a batch, trains on it, returns the step's record and the next data cursor."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from torch import Tensor

from prerl_spec.compiler.graph import Phase
from prerl_spec.compiler.objective_needs import Needs
from prerl_spec.engine.author_faults import blames
from prerl_spec.engine.batches.cursor import Cursor
from prerl_spec.engine.batches.journal import Journal
from prerl_spec.engine.batches.source import Documents, Rollouts, Source, decoding_of
from prerl_spec.engine.policy.reference import Reference
from prerl_spec.engine.policy.weights import bits_check
from prerl_spec.engine.processes.spare_cores import spare_cores
from prerl_spec.engine.processes.streams import Streams
from prerl_spec.engine.run.position import Position
from prerl_spec.engine.run.session import Session
from prerl_spec.engine.training.metrics import sampled_metrics, trained_metrics
from prerl_spec.engine.training.on_policy import OnPolicy
from prerl_spec.engine.training.sampler_gap import gap_limit, refuse_gap
from prerl_spec.engine.training.trainer import Trained, Trainer
from prerl_spec.engine.training.updater import Updater
from prerl_spec.engine.training.watching import Watching, finite_metrics
from prerl_spec.registry.component_state import States, initial_states, states_after
from prerl_spec.types import Step, StepRecord


class Taken(NamedTuple):
    """A step that was taken: its record, the data cursor and the states of the objective's components after it, and hashes
    by which it can be recognised: of its journal (None for documents), of the credit, and of the trained weights after it.
    """

    record: StepRecord
    cursor: Cursor
    components: States
    hashes: Mapping[str, str | None]


class PhaseRunner:
    """A phase with its batch source, optimizer and trainer; `moments` is the optimizer state that it inherits."""

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
        """Makes the clock of a step; a calibration sets one that also traces."""
        self._session = session
        self._journal = journal
        self.updater = Updater(phase.optimizer.component, session.policy.parameters(), session.ranks)
        self.updater.load_state(moments)
        self._streams = Streams(session.graph.run.seed, session.graph.run.streams)
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
            session.teachers,
            streams=self._streams,
        )

    def step(self, at: Position, scores: Mapping[str, float]) -> Taken:
        """Takes the step after a position. `scores` are copied into the record, for schedules that monitor one. Raises
        Interrupted before anything is trained, RunFailed."""
        clock, objective = self.new_clock(), self.phase.objective.component
        if (states := at.components) is None:
            with blames(objective, "initial"):
                states = initial_states(objective)
        with clock("total"):
            step, cursor = self._source.collect(at.step + 1, at.global_step + 1, at.cursor, clock)
            self._session.stages.stop_if_signalled()
            with clock("train"):
                lr = self.updater.set_lr(at.lr_step, self._lr_steps(at))
                measured, on_policy = self._measured_by_probes(step), self._on_policy(step)
                watching = Watching.begin(
                    self.phase.probes if self.phase.sampler is not None else (), step, self._trainer, states
                )
                trained = self._trainer.train(step, states, on_policy)
                watched = watching.end()
            self._session.samplers.weights_changed(at.updates + len(trained.updates), self.phase.sampler)
        # The engine's metrics take precedence over a probe's of the same name.
        metrics = {**watched, **measured}
        if on_policy is not None:
            metrics |= {**on_policy.metrics, **sampled_metrics(step)}
        metrics |= trained_metrics(trained, len(step.groups), lr)
        hashes = {
            "journal": self._journal.check(step.global_step),
            "credit": trained.credit,
            "weights": bits_check(self._session.policy, self._session.ranks),
        }
        record = _record(self.phase, step, trained, clock, metrics, scores)
        components = states_after(objective, step, trained.read, record, states, calling=blames)
        return Taken(record, cursor, components, hashes)

    def batch(self, at: Position) -> Step:
        """The batch of the next step, without training on it; `step` then reads it back from the journal."""
        return self._source.collect(at.step + 1, at.global_step + 1, at.cursor, Clock())[0]

    def _measured_by_probes(self, step: Step) -> dict[str, float]:
        """What the probes that are due make of a sampled batch; the first of several metrics of one name."""
        metrics: dict[str, float] = {}
        for named in self.phase.probes if self.phase.sampler is not None else ():
            if step.step % named.component.every == 0:
                with blames(named.component, "measure", name=named.use):
                    found = finite_metrics(named, "measure", named.component.measure(step))
                metrics = {**found, **metrics}
        return metrics

    def _on_policy(self, step: Step) -> OnPolicy | None:
        """What a sampled batch is compared with before it is trained on: the policy, whose samples it is said to hold."""
        if self.phase.sampler is None:
            return None
        needs = Needs.of(self.phase.objective.component, self.phase.updates_per_batch)
        sampler, declared = self._session.samplers.sampler(self.phase.sampler), self.phase.sampler.component
        limit = gap_limit(sampler, decoding_of(declared), self._session.policy.loaded.compute_dtype)
        return OnPolicy(
            step,
            needs.differentiated,
            self._session.policy,
            self._session.ranks,
            whole=needs.compares_with_sampler,
            budget=self.phase.tokens_per_pass,
            check=lambda metrics: refuse_gap(metrics, limit, step.global_step),
        )

    def _lr_steps(self, at: Position) -> int | None:
        """Steps of the whole learning-rate schedule: those of this phase and of the phases it is carried through.
        Planned steps are counted, so that a phase that ends early causes no jump."""
        steps = self.phase.schedule.component.max_steps
        return None if steps is None else at.lr_planned + int(steps) + self.phase.carried_lr_steps

    def _open_source(self) -> Source:
        session, phase = self._session, self.phase
        codec = session.policy.codec
        if phase.sampler is None:
            return Documents(phase, session.datasets, codec, self._streams, self._journal, session.max_length)
        return Rollouts(
            phase,
            session.datasets,
            codec,
            self._streams,
            self._journal,
            session.ranks,
            session.samplers.sampler(phase.sampler),
            lambda: session.verifiers.asked(beside=spare_cores(session.ranks.device)),
            session.stages.tick,
            session.stages.alone,
        )


class Clock:
    """Wall-clock seconds of one step by stage."""

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
    generated = 0
    if phase.sampler is not None:
        generated = sum(len(a.tokens) for g in (*step.groups, *step.discarded) for a in g.attempts)
    return StepRecord(
        phase=phase.id,
        step=step.step,
        global_step=step.global_step,
        updates=trained.num_updates,
        applied=len(trained.updates),
        metrics={k: v for k, v in metrics.items() if math.isfinite(v)},
        generated_tokens=generated,
        trained_tokens=trained.trained_tokens,
        seconds={k: round(v, 4) for k, v in clock.seconds.items()},
        scores=scores,
    )
