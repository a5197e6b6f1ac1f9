"""Recomputes steps from the journal and a kept checkpoint, and compares each with what the run recorded. Changes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prerl_spec.compiler.graph import Graph
from prerl_spec.engine.record.events import EventLog, Listener
from prerl_spec.engine.record.tracking import Trackers
from prerl_spec.engine.run.restoring import restore
from prerl_spec.engine.run.run import opened
from prerl_spec.engine.run.run_loop import RunLoop
from prerl_spec.engine.run.session import Session
from prerl_spec.errors import Damaged, UsageError
from prerl_spec.storage.checks import sha256_start
from prerl_spec.storage.journal_frames import read_step_entries, step_file


@dataclass(frozen=True)
class Replayed:
    """A recomputed step: what was compared ("tokens", "credit", "loss", "weights") -> whether it is equal."""

    global_step: int
    phase: str
    equal: Mapping[str, bool]


@dataclass(frozen=True)
class Replay:
    """The recomputed steps, in order, and the name of the checkpoint they start from (None: the initial model)."""

    start: str | None
    steps: tuple[Replayed, ...]

    @property
    def is_equal(self) -> bool:
        return all(all(step.equal.values()) for step in self.steps)


def replay(graph: Graph, claimed: Path | None, step: int, listener: Listener) -> Replay:
    """Recomputes the steps from the newest kept checkpoint before global step `step` up to that step. `claimed` is the run
    folder, None on ranks other than the main one.

    Raises UsageError for a step that the run has not taken, Damaged for one whose journal is missing or incomplete.
    """
    with opened(graph, claimed, listener) as (session, events):
        folder = session.folder
        if step not in {e["global_step"] for e in events.past if e["event"] == "step"}:
            raise UsageError(
                f"the run in {folder} has not taken step {step}", hint="`prerl-spec report RUN` shows its steps"
            )
        loop = ReplayLoop(session, _Recorded(folder / "events.jsonl", events.listener))
        return loop.up_to(step)


class _Recorded(EventLog):
    """The log of a run, read only."""

    def __init__(self, file: Path, listener: Listener) -> None:
        super().__init__(file, listener, writes=False)
        self.recorded = {e["global_step"]: e for e in self.past if e["event"] == "step"}
        self.again: dict[int, Mapping[str, Any]] = {}

    def write(self, event: str, **fields: Any) -> None:
        """Nothing is written."""

    def write_step(self, **fields: Any) -> None:
        self.again[fields["global_step"]] = fields
        self.listener.event({"event": "step", **fields})


class ReplayLoop(RunLoop):
    """The loop of a run without anything that writes: no events, checkpoints, scores or trackers."""

    events: _Recorded

    def __init__(self, session: Session, events: _Recorded) -> None:
        super().__init__(session, events, Trackers((), session.folder, session.graph.run.name), writes=False)

    def up_to(self, step: int) -> Replay:
        """Restores the newest checkpoint before `step` and recomputes the steps up to it."""
        restored = restore(self.session, self.reference, self.events, at_most=step - 1)
        if restored is not None:
            self._go_on_from(restored)
        while self.position.global_step < step:
            phase = self.graph.phases[self.position.phase]
            runner = None if self.position.over else self._open_phase(phase)
            while runner is not None and not self.position.over and self.position.global_step < step:
                self._require_journal(phase.sampler is not None)
                self._step(runner)
                self.session.stages.stop_if_signalled()
            if self.position.global_step < step:
                self._enter_next_phase(phase)
        steps = tuple(_compared(self.events.recorded[k], again) for k, again in self.events.again.items())
        return Replay(restored.folder_name if restored is not None else None, steps)

    def _require_journal(self, samples: bool) -> None:
        """Raises Damaged unless every verdict of the next step is there: it would be sampled anew."""
        if not samples:
            return
        file = step_file(self.session.folder / "journal", self.position.global_step + 1)
        groups = read_step_entries(file).groups.values()
        recorded = self.events.recorded[self.position.global_step + 1]["hashes"]["journal"]
        if recorded is not None and file.is_file() and sha256_start(file.read_bytes()) != recorded:
            raise Damaged(f"{file} is not the journal that the step was trained on", file=file)
        if not groups or any(a.verdict is None for group in groups for a in group.attempts):
            raise Damaged(f"{file}: the step cannot be recomputed without its responses and verdicts", file=file)


def _compared(recorded: Mapping[str, Any], again: Mapping[str, Any]) -> Replayed:
    equal = {
        "tokens": recorded["tokens"] == again["tokens"],
        "credit": recorded["hashes"]["credit"] == again["hashes"]["credit"],
        "loss": recorded["metrics"].get("loss") == again["metrics"].get("loss"),
        "weights": recorded["hashes"]["weights"] == again["hashes"]["weights"],
    }
    return Replayed(recorded["global_step"], recorded["phase"], equal)
