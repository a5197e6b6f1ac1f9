"""Calibration: times and traces a few steps of every phase and part of each evaluation, then discards the weights.

Each phase starts from the weights that the previous one left, the first from those of `start.from`. Responses are those of
the first steps of each, not of later ones.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

from prerl_spec.compiler.graph import Graph, Named, Phase
from prerl_spec.compiler.past_runs.calibration import CALIBRATION, EvaluatorTimes, PhaseTimes, Profile
from prerl_spec.engine.inspect.partial_evaluation import PartialEvaluation
from prerl_spec.engine.inspect.tracing import Tracer, TracingClock
from prerl_spec.engine.processes.peak_memory import peak_bytes, reset_peak
from prerl_spec.engine.record.events import EventLog, Listener
from prerl_spec.engine.record.tracking import Trackers
from prerl_spec.engine.run.phase_runner import PhaseRunner
from prerl_spec.engine.run.run import opened
from prerl_spec.engine.run.run_loop import RunLoop
from prerl_spec.engine.run.session import Session
from prerl_spec.registry.kinds.evaluator import Evaluator
from prerl_spec.storage.disk import write_whole

TIMED_STEPS = 3
LEAST_RESPONSES = 64
"""Responses sampled per call of a partial evaluation; as many as a training step samples, if that is more."""


def profile(graph: Graph, claimed: Path | None, listener: Listener) -> Profile:
    """Calibrates, and writes figures and traces to the folder that the main rank has claimed (None on the others).

    Raises Interrupted, RunFailed, EnvironmentUnmet; the folder then contains no figures, and is ignored.
    """
    begin, ticking = perf_counter(), Ticking(listener)
    with opened(graph, claimed, ticking) as (session, events):
        calibration = Calibration(session, events, Trackers((), session.folder, graph.run.name), ticking)
        opening = perf_counter() - begin
        calibration.run()
        found = Profile(
            session.folder, graph.run.name, graph.digest, opening, tuple(calibration.phases), tuple(calibration.rounds)
        )
        session.ranks.main_does(lambda: _write(session.folder, found, graph.plan), CALIBRATION)
    return found


class Ticking:
    """A listener that also records which stages report progress, and notifies the active tracer."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.stages: set[str] = set()
        self.tracer: Tracer | None = None

    def begin(self, graph: Graph) -> None:
        self._listener.begin(graph)

    def event(self, event: Mapping[str, Any]) -> None:
        self._listener.event(event)

    def tick(self, stage: str, done: int, total: int) -> None:
        if done < total:
            self.stages.add(stage)
        if self.tracer is not None:
            self.tracer.tick()
        self._listener.tick(stage, done, total)

    def end(self, message: str) -> None:
        self._listener.end(message)

    def close(self) -> None:
        self._listener.close()


class Calibration(RunLoop):
    """The loop of a run with a few steps per phase: no checkpoints, no scores."""

    def __init__(self, session: Session, events: EventLog, trackers: Trackers, ticking: Ticking) -> None:
        super().__init__(session, events, trackers)
        self._ticking = ticking
        self.phases: list[PhaseTimes] = []
        self.rounds: list[EvaluatorTimes] = []

    def run(self) -> None:
        self._resume()
        for phase in self.graph.phases:
            self._run_phase(phase)
        for named in self.graph.evaluators:
            self._evaluate(named)

    def _run_phase(self, phase: Phase) -> None:
        """Times a few steps of a phase, then traces one; a phase of a single step is only timed."""
        allowed = phase.schedule.component.max_steps
        number = TIMED_STEPS + 1 if allowed is None else min(TIMED_STEPS + 1, allowed)
        device = self.session.policy.device
        self._ticking.stages.clear()
        reset_peak(device)
        runner = self._open_phase(phase)
        for _ in range(max(1, number - 1)):
            self._timed(runner)
        timed = [e for e in self.events.past if e["event"] == "step" and e["phase"] == phase.id]
        peak = max(self.ranks.gather([peak_bytes(device)]))
        if number > 1:
            self._traced(runner, timed[-1]["seconds"])
        self.phases.append(
            PhaseTimes(phase.id, tuple(e["seconds"] for e in timed), tuple(e["tokens"] for e in timed), peak)
        )
        self._enter_next_phase(phase)

    def _timed(self, runner: PhaseRunner) -> None:
        self._step(runner)
        self.session.stages.stop_if_signalled()

    def _traced(self, runner: PhaseRunner, seconds: Mapping[str, float]) -> None:
        if not self.ranks.is_main:
            self._timed(runner)
            return
        tracer = Tracer(self.session.folder / "trace", runner.phase.id, seconds, frozenset(self._ticking.stages))
        self._ticking.tracer, runner.new_clock = tracer, lambda: TracingClock(tracer)
        try:
            self._timed(runner)
        finally:
            self._ticking.tracer = None

    def _evaluate(self, named: Named[Evaluator]) -> None:
        last = self.graph.phases[-1].id if self.graph.phases else "base"
        sampled = [_attempts(phase) for phase in self.graph.phases]
        partial = PartialEvaluation(
            self.evaluations.site(last, self.position, keep=False), max([LEAST_RESPONSES, *sampled])
        )
        begin = perf_counter()
        named.component.score(partial.opened())
        seconds = perf_counter() - begin
        self.rounds.append(
            EvaluatorTimes(named.use, seconds, seconds + partial.left_out_seconds, partial.asked, partial.of)
        )
        self.session.stages.stop_if_signalled()


def _attempts(phase: Phase) -> int:
    """Number of responses that a step samples."""
    if phase.sampler is None or phase.prompts_per_step is None:
        return 0
    return int(phase.prompts_per_step * phase.sampler.component.group_size)


def _write(folder: Path, found: Profile, plan: Mapping[str, Any]) -> None:
    """Writes the figures last and atomically: an interrupted calibration leaves none."""
    write_whole(folder / CALIBRATION, json.dumps(found.as_json(plan), indent=1))
