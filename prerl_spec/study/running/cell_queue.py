"""Runs the tasks of a study that are not finished, up to `jobs` at a time, in an order that respects what they wait for."""

import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from prerl_spec.compiler.plan import Plan
from prerl_spec.errors import Interrupted, PrerlError
from prerl_spec.process.stop_signals import SECONDS_APART, SECONDS_TO_END, arrived, leave_closed_terminal, on_stop
from prerl_spec.study.run_plans import prepared
from prerl_spec.study.running.taking_over import Nowhere, Source
from prerl_spec.study.state import note
from prerl_spec.study.study_folder import StudyFolder
from prerl_spec.study.study_plan import StudyPlan
from prerl_spec.study.tasks import Task

SECONDS_BETWEEN_LOOKS = 0.05


class Running(Protocol):
    """A run that has been started."""

    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""

    def send(self, number: int) -> None:
        """Sends it a signal."""

    def cause(self) -> str:
        """Why it failed, as far as it has said."""


Start = Callable[[StudyFolder, Task, Plan], Running]


class Listener(Protocol):
    """Who is told what happens: each call is one line for people."""

    def begun(self, task: Task) -> None: ...
    def taken(self, task: Task) -> None: ...
    def ended(self, task: Task, seconds: float) -> None: ...
    def failed(self, task: Task, cause: str) -> None: ...
    def looked(self, running: Sequence[Task]) -> None: ...


@dataclass
class Outcome:
    """What has become of the tasks: those that failed with their causes, and those that could not begin for that."""

    failed: dict[str, str] = field(default_factory=dict)
    blocked: list[str] = field(default_factory=list)


class CellQueue:
    """The queue of one command over a locked study folder."""

    def __init__(
        self,
        study: StudyPlan,
        folder: StudyFolder,
        tasks: Sequence[Task],
        start: Start,
        listener: Listener,
        jobs: int = 1,
        source: Source | None = None,
    ) -> None:
        self._study = study
        self._folder = folder
        self._start = start
        self._listener = listener
        self._jobs = jobs
        self._source = source or Nowhere()
        # What a task waits for need not be among the tasks: a cell alone has it from other commands.
        known = {name for task in tasks for name in (task.name, *task.after)}
        self._finished = {name for name in known if folder.is_finished(name)}
        self._left = [task for task in tasks if task.name not in self._finished]
        self._running: list[tuple[Task, Running, float]] = []
        self._outcome = Outcome()
        self._signals: list[float] = []
        self._number: int | None = None
        """The first stop signal."""
        self._deadline = float("inf")

    def run(self) -> Outcome:
        """Runs what is left to the end. A task that fails stops only those that wait for it.

        Raises Interrupted after a stop signal, once the running tasks have ended after their unit.
        """
        with on_stop(lambda number, frame: self._stop(number)):
            try:
                if (number := arrived()) is not None:
                    self._stop(number)
                while self._running or (self._left and not self._signals):
                    self._begin_what_can()
                    self._look()
                    if self._running:
                        time.sleep(SECONDS_BETWEEN_LOOKS)
            finally:
                self._kill()
        if self._signals:
            raise Interrupted("interrupted", hint="re-run the same command: it goes on with what is left")
        return self._outcome

    def _begin_what_can(self) -> None:
        while not self._signals and len(self._running) < self._jobs and (task := self._next()) is not None:
            self._left.remove(task)
            try:
                plan = prepared(self._study, self._folder, task)
                if (finished := self._source.offered(self._folder, task, plan)) is not None:
                    # Said first: what a kill leaves may be a run that was taken, and never one of which nothing tells.
                    note(self._folder, "take", task.name, source=str(finished))
                    self._source.take(finished, self._folder.run(task.name))
                    self._finished.add(task.name)
                    self._listener.taken(task)
                    continue
                note(self._folder, "begin", task.name)
                running = self._start(self._folder, task, plan)
                self._running.append((task, running, time.monotonic()))
                if self._number is not None:
                    # It came while the run was being started, and has reached the others only.
                    running.send(self._number)
            except PrerlError as error:
                self._fail(task, f"{error.message}; {error.hint}" if error.hint else error.message, error.exit_code)
            else:
                self._listener.begun(task)
        if not self._running and self._next() is None:
            assert self._outcome.failed or not self._left, "only a failure keeps a run from beginning"
            self._outcome.blocked += [task.name for task in self._left]
            self._left.clear()

    def _next(self) -> Task | None:
        return next((task for task in self._left if self._finished.issuperset(task.after)), None)

    def _look(self) -> None:
        for entry in list(self._running):
            task, running, begun = entry
            code = running.exit_code()
            if code is None:
                continue
            self._running.remove(entry)
            seconds = time.monotonic() - begun
            if self._folder.is_finished(task.name):
                self._finished.add(task.name)
                note(self._folder, "end", task.name, seconds=round(seconds, 3))
                self._listener.ended(task, seconds)
            elif self._signals and (code == Interrupted.exit_code or code < 0):
                note(self._folder, "stop", task.name, code=code)
            else:
                self._fail(task, running.cause(), code)
        if time.monotonic() > self._deadline:
            self._kill()
        self._listener.looked([task for task, _, _ in self._running])

    def _fail(self, task: Task, cause: str, code: int) -> None:
        self._outcome.failed[task.name] = cause
        note(self._folder, "fail", task.name, code=code, cause=cause)
        self._listener.failed(task, cause)

    def _stop(self, number: int) -> None:
        """Passes a signal on. The second one, sent at least SECONDS_APART after the first, ends a run at once; what has not
        ended SECONDS_TO_END later is killed."""
        leave_closed_terminal()
        now = time.monotonic()
        self._signals.append(now)
        self._number = self._number or number
        if now - self._signals[0] >= SECONDS_APART:
            self._deadline = min(self._deadline, now + SECONDS_TO_END + 1.0)
        for _, running, _ in self._running:
            running.send(number)

    def _kill(self) -> None:
        """Nothing that this command has started outlives it."""
        for _, running, _ in self._running:
            running.send(signal.SIGKILL)
        for _, running, _ in self._running:
            while running.exit_code() is None:
                time.sleep(SECONDS_BETWEEN_LOOKS)
