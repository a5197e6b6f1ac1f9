"""Progress of a run: a live status line below permanent lines on a terminal, plain lines elsewhere. ASCII."""

import os
import shutil
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TextIO

from prerl_spec.compiler.graph import Graph, Phase
from prerl_spec.process.error_output import lead_nowhere
from prerl_spec.report.formatting.printable import ascii_only
from prerl_spec.report.formatting.scales import duration, short
from prerl_spec.report.tables.equal_scores import each_once
from prerl_spec.report.terminal.budget_left import BudgetLeft, amount_words
from prerl_spec.types import Score

REDRAW_SECONDS = 0.1
DOCUMENT_LINE_SECONDS = 10.0
"""Supervised steps are many and fast: without a terminal they are printed this often, and at the end."""
TICK_LINE_SECONDS = 30.0
RECENT_STEPS = 20
NO_UPDATE = "no update: no token has weight"
"""Said of a step in which nothing was left to train: no group with signal, say."""
STEP_STAGES = ("sample", "verify", "train")
"""Stages of a step, too short for a separate estimate of the time left."""


@dataclass
class Stage:
    """The current stage of a step or an evaluation: `Stage("sample", 64, 128, begun=3.2)`."""

    name: str
    done: int
    total: int
    begun: float

    def left(self, now: float) -> float | None:
        """Estimated seconds until it is done, None without progress yet."""
        return (now - self.begun) / self.done * (self.total - self.done) if 0 < self.done < self.total else None


@dataclass
class Pace:
    """Observed durations of steps and evaluations."""

    steps: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT_STEPS))
    evaluations: dict[int, float] = field(default_factory=dict)

    def left(self, graph: Graph, phase: Phase, step: int) -> float | None:
        """Estimated seconds until the phase has ended and is scored; None if its schedule has no fixed number of steps.

        An evaluator that has not run yet counts as 0 s.
        """
        steps = phase.schedule.component.max_steps
        if steps is None or not self.steps:
            return None
        seconds: float = (steps - step) * sum(self.steps) / len(self.steps)
        for index, named in enumerate(graph.evaluators):
            every = named.component.every
            rounds = 0 if every == "off" else (steps - 1) // every - step // every
            rounds += "phases" in named.component.at
            seconds += max(0, rounds) * self.evaluations.get(index, 0.0)
        return seconds


class Progress:
    """Displays a run on `stream` (stderr); implements the engine's Listener.

    The live line needs a terminal that supports carriage returns (TERM is not "dumb"); bold text too, unless NO_COLOR
    is set.
    """

    def __init__(self, stream: TextIO | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock
        self._live = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._bold = self._live and not os.environ.get("NO_COLOR")
        self._begun = clock()
        self._drawn = 0
        self._redrawn = self._lined = float("-inf")
        self._graph: Graph | None = None
        self._begun_phase: Phase | None = None
        self._step: Mapping[str, Any] | None = None
        self._stage: Stage | None = None
        self._pace = Pace()
        self._budget: BudgetLeft | None = None

    def begin(self, graph: Graph) -> None:
        """Prints the name of the run and its phases."""
        self._graph = graph
        ahead = " -> ".join(f"{p.id} ({_steps_words(p)})" for p in graph.phases)
        self._budget = None if graph.cut is None else BudgetLeft(graph.cut)
        until = "" if graph.cut is None else f", until {amount_words(graph.cut.budget, graph.cut.match)}"
        self._line(f"{graph.run.name}: {ahead or 'evaluation only'}{until}", bold=True)

    def event(self, event: Mapping[str, Any]) -> None:
        """Displays an event, as written to events.jsonl."""
        self._stage = None
        kind = event["event"]
        if kind == "step":
            self._stepped(event)
        elif kind == "phase":
            self._phase_changed(event)
        elif kind == "evaluate":
            self._evaluated(event)
        elif kind == "resume":
            if self._budget is not None:
                self._budget.taken = float(event["taken"])
            self._line(f"resumes after step {event['global_step']} ({event.get('from_checkpoint') or 'no checkpoint'})")
        elif kind == "start":
            self._line(
                f"continues phase {event['phase']} of {event['run']} after its global step {event['global_step']}"
            )
        elif kind == "cut":
            reached = amount_words(event["reached"], event["match"])
            self._line(f"cut at {reached}: the study's budget is {event['budget']:,.15g}", bold=True)
        elif kind == "warning":
            self._line(f"warning: {event['message']}")

    def tick(self, stage: str, done: int, total: int) -> None:
        """Progress inside a step ("sample", "verify", "train") or an evaluation."""
        now = self._clock()
        if self._stage is None or self._stage.name != stage or done < self._stage.done:
            self._stage = Stage(stage, done, total, now)
        self._stage.done, self._stage.total = done, total
        if self._live:
            self._redraw()
        elif now - max(self._lined, self._stage.begun) >= TICK_LINE_SECONDS:
            self._line(self._status())

    def end(self, message: str) -> None:
        """Prints the final message of a run, finished or not."""
        self._step = self._stage = None
        self._line(message, bold=True)

    def close(self) -> None:
        """Clears the live line."""
        self._wipe()
        self._print("")

    def _stepped(self, event: Mapping[str, Any]) -> None:
        self._step = event
        self._pace.steps.append(float(event["seconds"]["total"]))
        if self._budget is not None:
            self._budget.step(event)
        if self._live:
            self._redraw()
            return
        phase = self._phase(event["phase"])
        last = phase is not None and event["step"] == phase.schedule.component.max_steps
        samples = "reward_mean" in event["metrics"]
        if samples or last or self._clock() - self._lined >= DOCUMENT_LINE_SECONDS:
            self._line(self._status())

    def _phase_changed(self, event: Mapping[str, Any]) -> None:
        name, state = event["phase"], event["state"]
        phase = self._phase(name)
        self._step = None
        self._begun_phase = phase if state == "begin" else None
        if state == "begin":
            self._pace.steps.clear()
            about = f": {_steps_words(phase)}, {phase.objective.use}" if phase is not None else ""
            self._line(f"{name} begins{about}", bold=True)
        else:
            self._line(f"{name} ends at step {event['global_step']}", bold=True)

    def _evaluated(self, event: Mapping[str, Any]) -> None:
        seconds = float(event["seconds"])
        self._pace.evaluations[event["evaluator"]] = seconds
        for score in each_once([Score.of_row(row) for row in event["scores"]]):
            n = f"{score.questions} x {score.samples_per_question}"
            value = f"{score.metric} {score.value:.3f} {score.bounds_text(3)}"
            self._line(f"  {event['phase']}  {score.task}  {value}  n = {n}")

    def _status(self) -> str:
        """The state in one line, the least important last, because a narrow terminal cuts the end."""
        stage = self._stage
        doing = f"{stage.name.replace(':', ' ')} {stage.done}/{stage.total}" if stage is not None else ""
        if self._step is not None:
            where, *measured = self._step_words(self._step)
            return "  ".join([f"{where} {doing}".rstrip(), *measured])
        if self._begun_phase is not None:
            return f"{_place(self._begun_phase.id, 0, self._begun_phase)} {doing}".rstrip()
        left = stage.left(self._clock()) if stage is not None and stage.name not in STEP_STAGES else None
        return doing if left is None else f"{doing}  {duration(left)} left"

    def _step_words(self, event: Mapping[str, Any]) -> list[str]:
        metrics, tokens, seconds = event["metrics"], event["tokens"], float(event["seconds"]["total"])
        phase = self._phase(event["phase"])
        parts = [_place(event["phase"], event["step"], phase)]
        if event["updates"] and not event["applied"]:
            parts.append(NO_UPDATE)
        if "reward_mean" in metrics:
            parts += [f"reward {metrics['reward_mean']:.3f}", f"right {metrics.get('verdict_right', 0.0):.0%}"]
        elif "loss" in metrics:
            parts.append(f"loss {metrics['loss']:.3f}")
        if self._budget is not None:
            parts.append(f"budget {self._budget.share:.0%}")
        if self._graph is not None and phase is not None:
            left = self._left(self._graph, phase, int(event["step"]))
            parts += [f"{duration(left)} left"] if left is not None and left > 0 else []
        if seconds > 0:
            parts.append(f"{short((tokens['generated'] or tokens['trained']) / seconds)} tok/s")
        if "response_length" in metrics:
            parts.append(f"length {metrics['response_length']:.0f}")
        return parts

    def _left(self, graph: Graph, phase: Phase, step: int) -> float | None:
        """Estimated seconds until the phase is scored; of a phase that a budget ends, until that is reached."""
        by_schedule = self._pace.left(graph, phase, step)
        if self._budget is None:
            return by_schedule
        by_budget = self._budget.left()
        if phase is graph.phases[-1]:
            return by_budget
        return min((left for left in (by_schedule, by_budget) if left is not None), default=None)

    def _phase(self, name: str) -> Phase | None:
        phases = self._graph.phases if self._graph is not None else ()
        return next((p for p in phases if p.id == name), None)

    def _line(self, text: str, *, bold: bool = False) -> None:
        """Prints a permanent line; the live line is redrawn below it."""
        self._wipe()
        elapsed = round(self._clock() - self._begun)
        stamp = f"{elapsed // 3600}:{elapsed // 60 % 60:02d}:{elapsed % 60:02d}"
        line = ascii_only(text).replace("\n", " ")
        self._print(f"[{stamp}] \x1b[1m{line}\x1b[0m\n" if bold and self._bold else f"[{stamp}] {line}\n")
        self._lined = self._clock()

    def _redraw(self) -> None:
        now = self._clock()
        if now - self._redrawn < REDRAW_SECONDS:
            return
        self._redrawn = now
        # One column is left free: many terminals wrap when the last one is filled.
        room = shutil.get_terminal_size().columns - 1
        text = _cut(ascii_only(self._status()), room)
        self._print("\r" + text.ljust(self._drawn))
        self._drawn = len(text)

    def _wipe(self) -> None:
        if self._drawn:
            self._print("\r" + " " * self._drawn + "\r", flush=False)
            self._drawn = 0

    def _print(self, text: str, *, flush: bool = True) -> None:
        """Writes to the stream. Once its terminal or the reader of its pipe is gone, the run goes on without a display."""
        try:
            self._stream.write(text)
            if flush:
                self._stream.flush()
        except OSError:
            lead_nowhere(self._stream.fileno())


def _place(name: str, step: int, phase: Phase | None) -> str:
    """Completed steps: "refine 7/45", or "refine 7" without a fixed number of steps, or beyond it."""
    steps = phase.schedule.component.max_steps if phase is not None else None
    return f"{name} {step}" if steps is None or step > steps else f"{name} {step}/{steps}"


def _cut(text: str, room: int) -> str:
    """At most `room` characters, cut between two parts if possible: a truncated number would be wrong."""
    return text if len(text) <= room else text[:room].rpartition("  ")[0] or text[:room]


def _steps_words(phase: Phase) -> str:
    steps = phase.schedule.component.max_steps
    return "until its schedule ends it" if steps is None else f"{steps} step{'s' if steps != 1 else ''}"
