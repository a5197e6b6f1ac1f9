"""THE loop of a run: phase after phase, step after step, with evaluations, checkpoints and phase transitions.

One step is in phase_runner.py (collect a batch, train on it) and training/trainer.py (credit, passes, updates);
resuming is in restoring.py, checkpointing in committing.py.
"""

from collections.abc import Mapping
from typing import Any

from prerl_spec.compiler.graph import Phase
from prerl_spec.engine.batches.journal import Journal
from prerl_spec.engine.batches.repetitions import repetition_warnings
from prerl_spec.engine.record.artefacts import note_artefacts, note_samplers
from prerl_spec.engine.record.events import EventLog
from prerl_spec.engine.record.tracking import Trackers
from prerl_spec.engine.run.committing import Commits
from prerl_spec.engine.run.cutting import Cutting
from prerl_spec.engine.run.evaluations import Evaluations
from prerl_spec.engine.run.manifest import write_manifest
from prerl_spec.engine.run.phase_runner import PhaseRunner
from prerl_spec.engine.run.position import Position, after_phase
from prerl_spec.engine.run.restoring import Restored, restore
from prerl_spec.engine.run.session import Session
from prerl_spec.engine.training.updater import Updater
from prerl_spec.errors import Interrupted


class RunLoop:
    """Runs the phases in order and holds what is carried from step to step and from phase to phase."""

    def __init__(self, session: Session, events: EventLog, trackers: Trackers, *, writes: bool = True) -> None:
        self.session = session
        self.graph = session.graph
        self.ranks = session.ranks
        self.events = events
        self.trackers = trackers
        self.journal = Journal(
            session.folder / "journal",
            writes=writes and session.ranks.is_main,
            trained_on={k: hashes["journal"] for k, hashes in events.step_hashes().items() if hashes["journal"]},
        )
        self.evaluations = Evaluations(session, events, trackers)
        self.reference = session.freeze_reference_and_shard()
        self.commits = Commits(session, events, self.reference, self._moments)
        self.cutting = Cutting(session.graph, events, session.ranks)
        self.position = Position()
        self.updater: Updater | None = None
        self._inherited: Mapping[str, Any] = {}
        """Optimizer moments for the next phase to be opened; an open phase's updater holds its own."""

    def run(self) -> None:
        """Runs to the end, a study's cut or the next signal; an interrupt commits the last finished step first."""
        self._resume()
        for repetition in repetition_warnings(self.graph, self.session.datasets):
            self.events.write_once("warning", message=repetition)
        try:
            if self.position.global_step == self.events.began:
                self.evaluations.score_at("base", self.position)
            while self.position.phase < len(self.graph.phases):
                phase = self.graph.phases[self.position.phase]
                runner = None if self.position.over else self._open_phase(phase)
                self._note_samplers()
                self.evaluations.score_if_due(phase, self.position)
                while runner is not None and not self.position.over:
                    self._step(runner)
                    self.commits.commit_if_due(self.position)
                    self.session.stages.stop_if_signalled()
                    self.evaluations.score_if_due(phase, self.position)
                self._record_phase_end(phase)
                self.evaluations.score_at("phases", self.position)
                self._record_artefacts()
                if self.cutting.is_reached(self.position):
                    break
                self._enter_next_phase(phase)
            self.evaluations.score_at("end", self.position)
        except Interrupted:
            if not self.session.signals.at_once:
                self.commits.commit(self.position)
            raise
        self.events.write("end", global_step=self.position.global_step)
        self._record_artefacts()

    def _step(self, runner: PhaseRunner) -> None:
        """Takes one step, advances the position, and writes the step's event and metrics."""
        at, schedule = self.position, runner.phase.schedule.component
        record, cursor, components, hashes = runner.step(at, self.evaluations.measured(at))
        state, over = schedule.after(record, at.schedule if at.schedule is not None else schedule.initial())
        self.events.write_step(
            phase=record.phase,
            step=record.step,
            global_step=record.global_step,
            updates=record.updates,
            applied=record.applied,
            metrics=dict(record.metrics),
            tokens={"generated": record.generated_tokens, "trained": record.trained_tokens},
            seconds=dict(record.seconds),
            hashes=dict(hashes),
        )
        taken = at.after_step(record, cursor, components, state, over, schedule.max_steps)
        self.position = self.cutting.after_step(taken)
        self.trackers.log_step(record)

    def _enter_next_phase(self, phase: Phase) -> None:
        """Moves from an ended phase to the next one: what is carried over is set by the ended phase's schedule."""
        schedule = phase.schedule.component
        self._inherited = self._moments() if phase.carry_optimizer else {}
        if self.reference is not None and schedule.reference == "resync":
            self.reference.resync()
        self.position = after_phase(self.position, schedule, restart_data=phase.restart_data)
        self.updater = None

    def _resume(self) -> None:
        """Restores the newest checkpoint, or the start of a run that continues another, and writes the manifest."""
        restored = restore(self.session, self.reference, self.events)
        if restored is not None:
            self._go_on_from(restored)
            self.commits.restored(restored.position)
        start = self.events.start if restored is None or restored.start is None else restored.start
        self.ranks.main_does(lambda: write_manifest(self.session, start), "manifest.json")
        if self.events.past:
            self.evaluations.write_scores()
            self.events.write(
                "resume",
                global_step=self.position.global_step,
                from_checkpoint=restored.folder_name if restored is not None else None,
                **({} if (taken := self.cutting.taken(self.position)) is None else {"taken": taken}),
            )
        if start is not None and self.events.start is None:
            self.events.write("start", **start)

    def _go_on_from(self, restored: Restored) -> None:
        self.position, self._inherited = self.cutting.judged(restored.position), restored.moments

    def _open_phase(self, phase: Phase) -> PhaseRunner:
        """The runner of a phase, ready for its next step; an earlier process may have taken some of its steps."""
        runner = PhaseRunner(phase, self.session, self.journal, self._inherited, self.reference)
        self.updater = runner.updater
        # The optimizer owns them from here on: a second reference would keep stale moments, half of training's memory.
        self._inherited = {}
        if self.position.step == 0:
            steps = phase.schedule.component.max_steps
            self.events.write_once(
                "phase", phase=phase.id, state="begin", global_step=self.position.global_step, steps=steps
            )
        return runner

    def _record_phase_end(self, phase: Phase) -> None:
        self.cutting.record_end(phase, self.position)
        self.events.write_once("phase", phase=phase.id, state="end", global_step=self.position.global_step)

    def _note_samplers(self) -> None:
        """How they compute is found when they open; a replay, which opens them too, leaves the manifest as it is."""
        computes = self.session.samplers.computes
        self.ranks.main_does(lambda: note_samplers(self.session.folder, computes), "manifest.json")

    def _record_artefacts(self) -> None:
        self.ranks.main_does(lambda: note_artefacts(self.session.folder), "manifest.json")

    def _moments(self) -> Mapping[str, Any]:
        """The optimizer's current state."""
        return self.updater.state() if self.updater is not None else self._inherited
