"""The event log of a run, one JSON object per line, and the listener that receives events as they are written."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from prerl_spec.compiler.graph import Graph
from prerl_spec.engine.processes.disk_errors import translate_disk_errors
from prerl_spec.errors import Damaged
from prerl_spec.storage.chained_lines import append_lines, cut_torn_line, read_lines
from prerl_spec.storage.checks import START


class Listener(Protocol):
    """Receives the events and progress of a run: a terminal display, a test."""

    def begin(self, graph: Graph) -> None: ...
    def event(self, event: Mapping[str, Any]) -> None: ...
    def tick(self, stage: str, done: int, total: int) -> None: ...
    def end(self, message: str) -> None: ...
    def close(self) -> None: ...


class Silence:
    """The listener of every rank but the main one: ignores everything."""

    def begin(self, graph: Graph) -> None: ...
    def event(self, event: Mapping[str, Any]) -> None: ...
    def tick(self, stage: str, done: int, total: int) -> None: ...
    def end(self, message: str) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class EventsHead:
    """How many events were written, and the hash chain after them; each checkpoint holds one."""

    count: int
    chain: str


class EventLog:
    """Appends to events.jsonl on the main rank and notifies the listener. Raises Damaged for a file that was changed.

    A line torn by a kill is removed when the log is opened again; nothing else is ever removed. A step that is taken again
    after a kill, to the same result, is written as `repeat`, so that every step stands in the file once.
    """

    def __init__(self, file: Path, listener: Listener, *, writes: bool) -> None:
        found = read_lines(file)
        self.listener = listener
        self.past = list(found.entries)
        self.file = file
        self._chains = list(found.chains)
        self._writes = writes
        self._steps = {e["global_step"]: e for e in self.past if e["event"] == "step"}
        if writes:
            with translate_disk_errors(file.name):
                cut_torn_line(file, found)

    @property
    def head(self) -> EventsHead:
        return EventsHead(len(self._chains), self._chains[-1] if self._chains else START)

    def require(self, head: EventsHead, holder: str) -> None:
        """Raises Damaged if the log does not begin with the events that `holder`, a checkpoint, was written after."""
        if head.count > len(self._chains):
            lost = head.count - len(self._chains)
            raise Damaged(
                f"{self.file}: {lost} event{'s' if lost > 1 else ''} that {holder} was written after "
                f"{'are' if lost > 1 else 'is'} missing",
                file=self.file,
                hint="restore the file from a copy; without it the run's earlier steps and scores are lost",
            )
        if head.count and self._chains[head.count - 1] != head.chain:
            raise Damaged(f"{self.file}:{head.count}: not the event that {holder} was written after", file=self.file)

    def write(self, event: str, **fields: Any) -> None:
        entry = self._append(event, fields)
        self.listener.event(entry)

    def write_once(self, event: str, **fields: Any) -> None:
        """Writes an event unless an earlier process has written the same before it was stopped."""
        same = {"event": event, **fields}.items()
        if not any(same <= past.items() for past in self.past if past["event"] == event):
            self.write(event, **fields)

    def write_step(self, **fields: Any) -> None:
        """Writes a step's event; for a step that is already there with the same result a `repeat` with its seconds."""
        before = self._steps.get(fields["global_step"])
        if before is not None and _result(before) == _result(fields):
            self._append("repeat", {"global_step": fields["global_step"], "seconds": fields["seconds"]})
            self.listener.event({"event": "step", **fields})
            return
        entry = self._append("step", fields)
        self._steps[fields["global_step"]] = entry
        self.listener.event(entry)

    def _append(self, event: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        entry = {"event": event, **fields, "time": round(time.time(), 3)}
        self.past.append(entry)
        if self._writes:
            with translate_disk_errors(self.file.name):
                self._chains.append(append_lines(self.file, [entry], self.head.chain))
        return entry

    def steps_until(self, global_step: int) -> list[dict[str, Any]]:
        """The events of this run's steps up to one, each once: of a step that was taken twice the one that counts."""
        return [event for step, event in self._steps.items() if step <= global_step]

    def step_hashes(self) -> dict[int, dict[str, Any]]:
        """The hashes of each step that the log held when it was opened, by global step."""
        return {step: event["hashes"] for step, event in self._steps.items()}

    @property
    def start(self) -> Mapping[str, Any] | None:
        """The event that says which other run this one has continued; None if it began with its initial model."""
        return next((e for e in self.past if e["event"] == "start"), None)

    @property
    def began(self) -> int:
        """The global step at which the run began: 0, or that of its start."""
        return 0 if self.start is None else int(self.start["global_step"])

    def phase_ends(self) -> list[tuple[str, int]]:
        """(phase, global step) of every phase end so far, in order of occurrence."""
        ends = [e for e in self.past if e["event"] == "phase" and e["state"] == "end"]
        return [(e["phase"], e["global_step"]) for e in ends]


def _result(step: Mapping[str, Any]) -> dict[str, Any]:
    """What a step decided, without its times, as JSON keeps it."""
    kept = {k: v for k, v in step.items() if k not in ("event", "time", "seconds")}
    result = json.loads(json.dumps(kept))
    assert isinstance(result, dict)
    return result


def read_events(file: Path) -> list[dict[str, Any]]:
    """The events so far, without a torn last line. Raises Damaged."""
    return list(read_lines(file).entries)
