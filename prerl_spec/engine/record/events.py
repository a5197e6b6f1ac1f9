"""The event log of a run, one JSON object per line, and the listener that receives events as they are written."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from prerl_spec.compiler.graph import Graph
from prerl_spec.engine.record.json_lines import append_lines, cut_torn_line, whole_lines


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


class EventLog:
    """Appends to events.jsonl on the main rank and notifies the listener.

    A line torn by a kill is removed when the log is opened again; nothing else is ever removed.
    """

    def __init__(self, file: Path, listener: Listener, *, writes: bool) -> None:
        self.listener = listener
        self.past = read_events(file)
        self._file = file if writes else None
        if writes:
            cut_torn_line(file)

    def write(self, event: str, **fields: Any) -> None:
        entry = {"event": event, **fields, "time": round(time.time(), 3)}
        self.past.append(entry)
        if self._file is not None:
            append_lines(self._file, [entry])
        self.listener.event(entry)

    def phase_ends(self) -> list[tuple[str, int]]:
        """(phase, global step) of every phase end so far, in order of occurrence."""
        ends = [e for e in self.past if e["event"] == "phase" and e["state"] == "end"]
        return [(e["phase"], e["global_step"]) for e in ends]


def read_events(file: Path) -> list[dict[str, Any]]:
    """The events so far, without a torn last line."""
    return [json.loads(line) for line in whole_lines(file)]
