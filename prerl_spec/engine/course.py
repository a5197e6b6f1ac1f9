"""The course of a run: resume, evaluate, go through the phases and over their boundaries, commit, end."""

from typing import Any

from prerl_spec.compiler.graph import Phase
from prerl_spec.compiler.objective_needs import reads_from
from prerl_spec.engine import checkpoint
from prerl_spec.engine.artefacts import note_artefacts
from prerl_spec.engine.evaluating import Evaluations
from prerl_spec.engine.events import EventLog
from prerl_spec.engine.journal import Journal
from prerl_spec.engine.manifest import write_manifest
from prerl_spec.engine.open_phase import OpenPhase
from prerl_spec.engine.position import Position
from prerl_spec.engine.reference import Reference, reference_of
from prerl_spec.engine.session import Session
from prerl_spec.engine.sharding import on_main
from prerl_spec.engine.tracking import Trackers
from prerl_spec.engine.updating import Updater
from prerl_spec.engine.weights import load_transformers, save_transformers, whole_weights
from prerl_spec.errors import EnvironmentUnmet, Interrupted, RunFailed


class Course:
    """The way through the phases: what is carried from step to step and over the boundaries."""

    def __init__(self, session: Session, events: EventLog, trackers: Trackers) -> None:
        self.session = session
        self.graph = session.graph
        self.ranks = session.ranks
        self.events = events
        self.journal = Journal(session.folder / "journal", writes=session.ranks.is_main)
        self.trackers = trackers
        self.evaluations = Evaluations(session, events, trackers)
        self.position = Position()
        self.updater: Updater | None = None
        self.reference = self._first_reference()
        # After the reference: what is sharded cannot be copied.
        session.shard_weights()
        self._moments: dict[str, Any] = {}
        self._committed = -1

    def go(self) -> None:
        """To the end, or to the next signal; an interrupt commits the last finished step first."""
        self._start()
        try:
            if self.position.global_step == 0:
                self.evaluations.at("base", self.position)
            while self.position.phase < len(self.graph.phases):
                self._phase(self.graph.phases[self.position.phase])
            self.evaluations.at("end", self.position)
            self._note_artefacts()
        except Interrupted:
            if not self.session.signals.at_once:
                self._commit()
            raise
        self.events.write("end", global_step=self.position.global_step)

    def _start(self) -> None:
        saved = checkpoint.newest(self.session.folder / "checkpoints")
        if saved is not None:
            load_transformers(self.session.loaded, saved.folder)
            at = Position.from_json(saved.state)
            self.position = at.reopened(self.graph.phases[at.phase].schedule.component.max_steps)
            self._moments = saved.tensors("optimizer")
            self._committed = self.position.global_step
            if self.reference is not None:
                kept = saved.tensors("reference")
                self.reference.load(kept)
                if not kept:
                    self._go_back_for_the_reference(saved)
        self.ranks.main_does(lambda: write_manifest(self.session), "manifest.json")
        if self.events.past:
            self.events.write(
                "resume",
                global_step=self.position.global_step,
                from_checkpoint=saved.folder.name if saved is not None else None,
            )

    def _go_back_for_the_reference(self, saved: checkpoint.Saved) -> None:
        """Where only an extension compares with a reference, no earlier process kept one: it is what the last boundary
        with a resync left, whose checkpoint is always kept; without one, the model as given."""
        assert self.reference is not None
        resynced = [
            p.id for p in self.graph.phases[: self.position.phase] if p.schedule.component.reference == "resync"
        ]
        ends = [e["global_step"] for e in self._phase_events() if e["state"] == "end" and e["phase"] in resynced[-1:]]
        if not ends:
            return
        folder = saved.folder.parent / checkpoint.folder_name(ends[-1])
        if checkpoint.problems(folder):
            raise EnvironmentUnmet(
                f"the reference is the model at the end of phase `{resynced[-1]}`, and its checkpoint {folder.name} is "
                "missing or damaged",
                mend="bring it back, or start another run",
            )
        load_transformers(self.session.loaded, folder)
        self.reference.resync()
        load_transformers(self.session.loaded, saved.folder)

    def _phase(self, phase: Phase) -> None:
        """A phase to its end, its scores, and over the boundary; goes on wherever an earlier process stopped in it."""
        opened = None if self.position.over else self._open(phase)
        while True:
            self.evaluations.every(phase, self.position)
            if opened is None or self.position.over:
                break
            self._step(opened)
            self._commit_if_due()
            self.session.stop_if_asked()
        if not any(
            e["state"] == "end" and e["phase"] == phase.id for e in self._phase_events(self.position.global_step)
        ):
            self.events.write("phase", phase=phase.id, state="end", global_step=self.position.global_step)
        self.evaluations.at("phases", self.position)
        self._note_artefacts()
        self._boundary(phase)

    def _open(self, phase: Phase) -> OpenPhase:
        opened = OpenPhase(phase, self.session, self.journal, self._moments, self.reference)
        self.updater = opened.updater
        # The optimizer's from here on: whoever kept them would keep them as they were, half as much as training takes.
        self._moments = {}
        if self.position.step == 0:
            steps = phase.schedule.component.max_steps
            self.events.write(
                "phase", phase=phase.id, state="begin", global_step=self.position.global_step, steps=steps
            )
        return opened

    def _step(self, opened: OpenPhase) -> None:
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
        self._moments = self._current_moments() if phase.carry_optimizer else {}
        if self.reference is not None and schedule.reference == "resync":
            self.reference.resync()
        self.position = self.position.next_phase(
            carry_lr=schedule.lr_schedule == "carry",
            restart_data=schedule.data == "restart",
            max_steps=schedule.max_steps,
        )
        self.updater = None

    def _current_moments(self) -> dict[str, Any]:
        return self.updater.state() if self.updater is not None else self._moments

    def _commit_if_due(self) -> None:
        if self.position.over or self.position.global_step % self.graph.checkpoint.every == 0:
            self._commit()

    def _commit(self) -> None:
        """Commits the position between two steps; nothing to do where the step is committed or none is finished."""
        if self.position.global_step == 0 or self.position.global_step == self._committed:
            return
        self._stop_if_ranks_differ()
        root = self.session.folder / "checkpoints"
        moments = on_main(self._current_moments(), self.ranks)
        reference = on_main(self.reference.tensors() if self.reference is not None else {}, self.ranks)
        weights = whole_weights(self.session.loaded, self.ranks, merged=self.position.over)
        self.ranks.main_does(
            lambda: checkpoint.commit(
                root,
                self.position.global_step,
                save_model=lambda where: save_transformers(self.session.loaded, where, weights),
                state=self.position.to_json(),
                tensors={"optimizer": moments, "reference": reference},
            ),
            f"the checkpoint of step {self.position.global_step}",
        )
        self._committed = self.position.global_step
        if self.ranks.is_main:
            checkpoint.retain(root, self.graph.checkpoint.keep, self._phase_ends())

    def _note_artefacts(self) -> None:
        self.ranks.main_does(lambda: note_artefacts(self.session.folder), "manifest.json")

    def _stop_if_ranks_differ(self) -> None:
        """Every rank applies the same update to the same weights; where one does not, nothing is worth keeping."""
        if self.session.policy.is_sharded:
            return  # no weight is held twice
        sums = [float(p.detach().double().sum()) for _, p in self.session.policy.parameters()]
        if len({tuple(s) for s in self.ranks.gather([sums])}) > 1:
            raise RunFailed(
                f"the weights of the {self.ranks.size} processes differ after step {self.position.global_step}",
                mend="the last checkpoint stands; the same software and hardware must run on every rank",
            )

    def _phase_ends(self) -> frozenset[int]:
        ends = {e["global_step"] for e in self._phase_events() if e["state"] == "end"}
        return frozenset(ends | ({self.position.global_step} if self.position.over else set()))

    def _phase_events(self, global_step: int | None = None) -> list[dict[str, Any]]:
        events = [e for e in self.events.past if e["event"] == "phase"]
        return [e for e in events if global_step in (None, e["global_step"])]

    def _first_reference(self) -> Reference | None:
        """The model as given, where a term compares with it."""
        objectives = [p.objective.component for p in self.graph.phases]
        if not any(reads_from(objective, "reference") for objective in objectives):
            return None
        return reference_of(self.session.policy)
