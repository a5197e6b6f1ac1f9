"""Stop signals (Ctrl-C, SIGTERM, SIGHUP, SIGUSR1) end a run at the next safe point; a second one ends it at once, at the
last checkpoint."""

import time
from contextlib import ExitStack
from types import FrameType, TracebackType

from prerl_spec.errors import Interrupted
from prerl_spec.process.stop_signals import (
    SECONDS_APART,
    after_a_stop,
    arrived,
    end_later,
    leave_closed_terminal,
    on_stop,
    stopped_twice,
)


class Signals:
    """While open, the first stop signal only sets a flag; the second raises Interrupted where it arrives.

    The flag is set at once, also while the main thread is inside a collective call. If the second signal has no effect
    within SECONDS_TO_END, for that reason or another, the process is ended.
    """

    def __init__(self) -> None:
        self.raised = False
        """A signal has arrived, here or (`stop`) at another process of the run."""
        self.at_once = False
        """A second signal arrived: the weights may be those of an unfinished step."""
        self._first_handled: float | None = None
        self._first_noticed: float | None = None
        self._noticed_twice = False
        self._open = ExitStack()

    def __enter__(self) -> "Signals":
        self._open.enter_context(on_stop(self._on_signal, self._notice))
        self.raised = self.raised or arrived() is not None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def stop(self) -> None:
        """Stops at the next safe point, without a signal of our own."""
        self.raised = True

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.raised = True
        leave_closed_terminal()
        now = time.monotonic()
        # Two signals during one long call of a library are handled together.
        if self._noticed_twice or (self._first_handled is not None and now - self._first_handled >= SECONDS_APART):
            self.at_once = True
            raise Interrupted(stopped_twice(), hint=after_a_stop())
        if self._first_handled is None:
            self._first_handled = now

    def _notice(self, number: int) -> None:
        self.raised = True
        now = time.monotonic()
        if self._first_noticed is None:
            self._first_noticed = now
        elif now - self._first_noticed >= SECONDS_APART and not self._noticed_twice:
            self._noticed_twice = True
            end_later(stopped_twice())
