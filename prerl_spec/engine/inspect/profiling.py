"""A calibration: some steps of every phase and a small round of each evaluator, timed and traced; what is learnt is not kept.

Each phase begins from the weights as they then stand, so its responses are those of its first steps, not of its last.
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
from prerl_spec.engine.run.manifest import write_manifest
from prerl_spec.engine.run.phase_runner import PhaseRunner
from prerl_spec.engine.run.run import opened
from prerl_spec.engine.run.run_loop import RunLoop
from prerl_spec.engine.run.session import Session
from prerl_spec.registry.kinds import Evaluator
from prerl_spec.whole_file import write_whole

TIMED_STEPS = 3
LEAST_RESPONSES = 64
"""Drawn in a small round; as many as a step draws, where that is more."""


def profile(graph: Graph, taken: Path | None, listener: Listener) -> Profile:
    """Calibrates in the folder that the main rank has taken (None on the others), and leaves the figures and traces there.

    Raises Interrupted, RunFailed, EnvironmentUnmet; the folder then holds no figures, and nothing reads it.
    """
    begin, heard = perf_counter(), Ticking(listener)
    with opened(graph, taken, heard) as (session, events):
        calibration = Calibration(session, events, Trackers((), session.folder, graph.run.name), heard)
        opening = perf_counter() - begin
        calibration.go()
        found = Profile(
            session.folder, graph.run.name, graph.digest, opening, tuple(calibration.phases), tuple(calibration.rounds)
        )
        session.ranks.main_does(lambda: _write(session.folder, found, graph.plan), CALIBRATION)
    return found


class Ticking:
    """A listener that also notes which stages report their progress, and tells the tracer that is at work."""

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
    """The course of a run, a few steps a phase: no checkpoints, no scores."""

    def __init__(self, session: Session, events: EventLog, trackers: Trackers, heard: Ticking) -> None:
        super().__init__(session, events, trackers)
        self._heard = heard
        self.phases: list[PhaseTimes] = []
        self.rounds: list[EvaluatorTimes] = []

    def go(self) -> None:
        self.ranks.main_does(lambda: write_manifest(self.session), "manifest.json")
        for phase in self.graph.phases:
            self._phase(phase)
        for named in self.graph.evaluators:
            self._round(named)

    def _phase(self, phase: Phase) -> None:
        """Some timed steps and a traced one, no more than the phase has: the traced one is timed only where it is alone."""
        allowed = phase.schedule.component.max_steps
        number = TIMED_STEPS + 1 if allowed is None else min(TIMED_STEPS + 1, allowed)
        device = self.session.policy.device
        self._heard.stages.clear()
        reset_peak(device)
        opened = self._open(phase)
        for _ in range(max(1, number - 1)):
            self._timed(opened)
        timed = [e for e in self.events.past if e["event"] == "step" and e["phase"] == phase.id]
        peak = max(self.ranks.gather([peak_bytes(device)]))
        if number > 1:
            self._traced(opened, timed[-1]["seconds"])
        self.phases.append(
            PhaseTimes(phase.id, tuple(e["seconds"] for e in timed), tuple(e["tokens"] for e in timed), peak)
        )
        self._boundary(phase)

    def _timed(self, opened: PhaseRunner) -> None:
        self._step(opened)
        self.session.stages.stop_if_asked()

    def _traced(self, opened: PhaseRunner, seconds: Mapping[str, float]) -> None:
        if not self.ranks.is_main:
            self._timed(opened)
            return
        tracer = Tracer(self.session.folder / "trace", opened.phase.id, seconds, frozenset(self._heard.stages))
        self._heard.tracer, opened.new_clock = tracer, lambda: TracingClock(tracer)
        try:
            self._timed(opened)
        finally:
            self._heard.tracer = None

    def _round(self, named: Named[Evaluator]) -> None:
        last = self.graph.phases[-1].id if self.graph.phases else "base"
        drawn = [_attempts(phase) for phase in self.graph.phases]
        small = PartialEvaluation(self.evaluations.site(last, self.position), max([LEAST_RESPONSES, *drawn]))
        begin = perf_counter()
        named.component.score(small.opened())
        taken = perf_counter() - begin
        self.rounds.append(EvaluatorTimes(named.use, taken, taken + small.left_out_seconds, small.asked, small.of))
        self.session.stages.stop_if_asked()


def _attempts(phase: Phase) -> int:
    """Responses that a step draws."""
    if phase.sampler is None or phase.prompts_per_step is None:
        return 0
    return int(phase.prompts_per_step * phase.sampler.component.group_size)


def _write(folder: Path, found: Profile, plan: Mapping[str, Any]) -> None:
    """Last, and whole or not at all: a calibration that was cut short is none."""
    write_whole(folder / CALIBRATION, json.dumps(found.as_json(plan), indent=1))
