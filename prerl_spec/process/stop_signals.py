"""The signals that ask a command to stop, noticed even while the main thread is inside a long call of a library.

Python runs a signal's handler in the main thread, between two of its instructions: not inside an all-reduce, nor while a
shared library is loaded. The interpreter also writes the signal's number to a pipe at once (`signal.set_wakeup_fd`); a thread
reads that pipe here.
"""

import os
import signal
import stat
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

from prerl_spec.errors import Interrupted
from prerl_spec.process.error_output import end_process, lead_nowhere

STOPPING: tuple[signal.Signals, ...] = tuple(
    # Windows has neither SIGHUP nor SIGUSR1.
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")
    if hasattr(signal, name)
)
"""Ctrl-C; what a scheduler sends before it kills; a closed terminal; Slurm's warning before a time limit."""

SECONDS_TO_END = 8.0
"""From the signal that must end a process at once to its end, whatever the main thread does."""

SECONDS_APART = 1.0
"""A second signal comes at least this long after the first: a scheduler may send one to a job and pass one on."""

RESUME = "re-run the same command to resume"
START_OVER = "the same command starts from the beginning"


def after_a_stop() -> str:
    """What re-running the command does, as the hint of its last message."""
    return RESUME if _resumes[-1] else START_OVER


def stopped_twice() -> str:
    """The message of the second signal, which ends a command where it is."""
    return "interrupted twice: the run is at its last checkpoint" if _resumes[-1] else "interrupted twice"


class Stopped(KeyboardInterrupt):
    """A stop signal outside a run. A KeyboardInterrupt, since libraries catch Exception while they are imported."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    @property
    def words(self) -> str:
        return "interrupted" if self.number == signal.SIGINT else f"interrupted by {signal.Signals(self.number).name}"


@contextmanager
def on_stop(
    handler: Callable[[int, FrameType | None], None], noticed: Callable[[int], None] = lambda number: None
) -> Iterator[None]:
    """Within the block a stop signal calls `handler(number, frame)` in the main thread, as soon as that is between two
    instructions, and `noticed(number)` in another thread at once. Afterwards the earlier handlers are back.

    Signals that the process was started to ignore (nohup) stay ignored; but for SIGINT, with which scripts start all their
    background jobs. Does nothing in a thread other than the main one.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # None: a handler of another language's code, which could not be put back.
    now = {n: found for n in STOPPING if (found := signal.getsignal(n)) is not None}
    before = {n: found for n, found in now.items() if n == signal.SIGINT or found != signal.SIG_IGN}
    try:
        with _read_in_a_thread(noticed):
            _in_use.append(before)
            try:
                for number in before:
                    signal.signal(number, handler)
                yield
            finally:
                for number, earlier in before.items():
                    signal.signal(number, earlier)
                _in_use.pop()
    finally:
        # Once the thread has ended, which may still have started one.
        if not _in_use:
            _cancel_ends()


@contextmanager
def resuming(yes: bool) -> Iterator[None]:
    """Within the block, whether re-running the command goes on with what a signal has stopped."""
    _resumes.append(yes)
    try:
        yield
    finally:
        _resumes.pop()


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Within the block a stop signal raises Stopped; if that has no effect in SECONDS_TO_END, the process ends with the
    exit code of an interrupt.

    For a command, or the start of one, that has nothing to finish. `arrived` says whether there was a signal: an
    exception is lost if it is raised in a callback of the interpreter.
    """
    _arrived.clear()
    level = len(_in_use) + 1

    def stop(number: int, frame: FrameType | None) -> None:
        _arrived.append(number)
        leave_closed_terminal()
        raise Stopped(number)

    def noticed(number: int) -> None:
        _arrived.append(number)
        end_later(Stopped(number).words, only_if=lambda: len(_in_use) == level)

    with on_stop(stop, noticed):
        yield


def arrived() -> int | None:
    """The stop signal that has come since `ended_by_signals` was entered, also if its exception was lost; else None.

    For what takes over the signals: a lost one would otherwise never be acted on.
    """
    return _arrived[0] if _arrived else None


def end_later(words: str, *, only_if: Callable[[], bool] = lambda: True) -> None:
    """Ends the process with the exit code of an interrupt in a while, unless the outermost `on_stop` has been left by then
    (the command has ended, in a process that may go on to something else) or `only_if()` does not hold."""

    def end() -> None:
        if only_if():
            end_process(Interrupted(words, hint=after_a_stop()))

    timer = threading.Timer(SECONDS_TO_END, end)
    timer.daemon = True
    _ends.append(timer)
    timer.start()


def _cancel_ends() -> None:
    while _ends:
        _ends.pop().cancel()


def leave_closed_terminal() -> None:
    """Replaces stdout and stderr by the null device where they are a terminal that has been closed: writing to it fails,
    and must not fail the work that is still to be finished."""
    for descriptor in (1, 2):
        try:
            gone = stat.S_ISCHR(os.fstat(descriptor).st_mode) and not os.isatty(descriptor)
        except OSError:
            continue
        if gone:
            lead_nowhere(descriptor)


@contextmanager
def _read_in_a_thread(noticed: Callable[[int], None]) -> Iterator[None]:
    """Calls `noticed` with the number of each signal that has a handler."""
    if sys.platform == "win32":
        yield
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)

    def read() -> None:
        while True:
            for number in os.read(reading, 64):
                if number == _END:
                    return
                if number in STOPPING:
                    noticed(number)

    thread = threading.Thread(target=read, name="stop-signals", daemon=True)
    thread.start()
    earlier = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(earlier)
        # A byte, not the pipe's end: a forked process may hold the pipe open.
        os.write(writing, bytes([_END]))
        thread.join()
        os.close(writing)
        os.close(reading)


_END = 0
"""No signal has this number."""
_arrived: list[int] = []
_ends: list[threading.Timer] = []
"""What `end_later` has started and may still have to end this process."""
_resumes: list[bool] = [True]
"""Whether the command goes on when it is run again, innermost last."""
_in_use: list[Mapping[signal.Signals, Any]] = []
"""For each `on_stop` that is entered, the handlers before it."""


def _leave_to_the_parent() -> None:
    """A forked process has the handlers of its parent and writes to its pipe: a signal to the child would stop the
    parent."""
    if _in_use:
        signal.set_wakeup_fd(-1)
        for number, earlier in _in_use[0].items():
            signal.signal(number, earlier)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_the_parent)
