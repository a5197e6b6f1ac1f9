"""THE loop of a run: phase after phase, step after step; resume, evaluate, commit, and over the boundaries.

What a step does stands in open_phase.py and phase.py; where a run goes on in restoring.py; what is kept in committing.py.
"""

from collections.abc import Mapping
from typing import Any

from prerl_spec.compiler.graph import Phase
from prerl_spec.engine.batches.journal import Journal
from prerl_spec.engine.record.artefacts import note_artefacts
from prerl_spec.engine.record.events import EventLog
from prerl_spec.engine.record.tracking import Trackers
from prerl_spec.engine.run.committing import Commits
from prerl_spec.engine.run.evaluations import Evaluations
from prerl_spec.engine.run.manifest import write_manifest
from prerl_spec.engine.run.phase_runner import PhaseRunner
from prerl_spec.engine.run.position import Position
from prerl_spec.engine.run.restoring import restore
from prerl_spec.engine.run.session import Session
from prerl_spec.engine.training.updater import Updater
from prerl_spec.errors import Interrupted


class RunLoop:
    """The way through the phases: what is carried from step to step and over the boundaries."""

    def __init__(self, session: Session, events: EventLog, trackers: Trackers) -> None:
        self.session = session
        self.graph = session.graph
        self.ranks = session.ranks
        self.events = events
        self.trackers = trackers
        self.journal = Journal(session.folder / "journal", writes=session.ranks.is_main)
        self.evaluations = Evaluations(session, events, trackers)
        self.reference = session.freeze_reference_and_shard()
        self.commits = Commits(session, events, self.reference, self._moments)
        self.position = Position()
        self.updater: Updater | None = None
        self._inherited: Mapping[str, Any] = {}
        """Moments for the optimizer of the next phase; it has its own while a phase is open."""

    def go(self) -> None:
        """To the end, or to the next signal; an interrupt commits the last finished step first."""
        self._start()
        try:
            if self.position.global_step == 0:
                self.evaluations.at("base", self.position)
            while self.position.phase < len(self.graph.phases):
                phase = self.graph.phases[self.position.phase]
                opened = None if self.position.over else self._open(phase)
                self.evaluations.every(phase, self.position)
                while opened is not None and not self.position.over:
                    self._step(opened)
                    self.commits.commit_if_due(self.position)
                    self.session.stages.stop_if_asked()
                    self.evaluations.every(phase, self.position)
                self._note_end(phase)
                self.evaluations.at("phases", self.position)
                self._note_artefacts()
                self._boundary(phase)
            self.evaluations.at("end", self.position)
            self._note_artefacts()
        except Interrupted:
            if not self.session.signals.at_once:
                self.commits.commit(self.position)
            raise
        self.events.write("end", global_step=self.position.global_step)

    def _step(self, opened: PhaseRunner) -> None:
        at, schedule = self.position, opened.phase.schedule.component
        record, cursor = opened.step(at, self.evaluations.measured(at))
        state, over = schedule.after(record, at.schedule if at.schedule is not None else schedule.initial())
        self.position = at.after_step(record, cursor, state, over, schedule.max_steps)
        self.events.write(
            "step",
            phase=record.phase,
            step=record.step,
            global_step=record.global_step,
            updates=record.updates,
            applied=record.applied,
            metrics=dict(record.metrics),
            tokens={"generated": record.generated_tokens, "trained": record.trained_tokens},
            seconds=dict(record.seconds),
        )
        self.trackers.log_step(record)

    def _boundary(self, phase: Phase) -> None:
        """From one phase to the next, as the ended phase's schedule says."""
        schedule = phase.schedule.component
        self._inherited = self._moments() if phase.carry_optimizer else {}
        if self.reference is not None and schedule.reference == "resync":
            self.reference.resync()
        self.position = self.position.next_phase(
            carry_lr=schedule.lr_schedule == "carry",
            restart_data=schedule.data == "restart",
            max_steps=schedule.max_steps,
        )
        self.updater = None

    def _start(self) -> None:
        """Goes on where an earlier process stopped, where there was one."""
        restored = restore(self.session, self.reference, self.events)
        if restored is not None:
            self.position, self._inherited = restored.position, restored.moments
            self.commits.restored(restored.position)
        self.ranks.main_does(lambda: write_manifest(self.session), "manifest.json")
        if self.events.past:
            self.events.write(
                "resume",
                global_step=self.position.global_step,
                from_checkpoint=restored.folder_name if restored is not None else None,
            )

    def _open(self, phase: Phase) -> PhaseRunner:
        """The phase, ready for its next step; an earlier process may have taken some."""
        opened = PhaseRunner(phase, self.session, self.journal, self._inherited, self.reference)
        self.updater = opened.updater
        # The optimizer's from here on: whoever kept them would keep them as they were, half as much as training takes.
        self._inherited = {}
        if self.position.step == 0:
            steps = phase.schedule.component.max_steps
            self.events.write(
                "phase", phase=phase.id, state="begin", global_step=self.position.global_step, steps=steps
            )
        return opened

    def _note_end(self, phase: Phase) -> None:
        """Once: an earlier process may have noted it before it was stopped."""
        if (phase.id, self.position.global_step) not in self.events.phase_ends():
            self.events.write("phase", phase=phase.id, state="end", global_step=self.position.global_step)

    def _note_artefacts(self) -> None:
        self.ranks.main_does(lambda: note_artefacts(self.session.folder), "manifest.json")

    def _moments(self) -> Mapping[str, Any]:
        """The optimizer's state as it is now."""
        return self.updater.state() if self.updater is not None else self._inherited
