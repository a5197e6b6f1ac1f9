"""A progress line on a terminal, rewritten in place; prints nothing if stderr is not a terminal."""

import sys
from time import monotonic
from types import TracebackType

from prerl_spec.process.error_output import lead_nowhere

_SECONDS_BETWEEN = 0.1


class Ticker:
    """A context manager: the line is cleared at the end."""

    def __init__(self, *, enabled: bool = True) -> None:
        self._screen = sys.stderr
        self._shown = enabled and self._screen.isatty()
        self._last = 0.0

    def __enter__(self) -> "Ticker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            self._print("\r\x1b[K")

    def tick(self, stage: str, done: int, total: int) -> None:
        """Shows how far a stage is: "evaluate:math500_boxed", 12, 128."""
        now = monotonic()
        if self._shown and (done == total or now - self._last > _SECONDS_BETWEEN):
            self._last = now
            self._print(f"\r\x1b[K{stage.replace(':', ' ')} {done}/{total}")

    def _print(self, text: str) -> None:
        try:
            print(text, end="", file=self._screen, flush=True)
        except OSError:
            # The terminal has been closed: the work goes on without a display.
            self._shown = False
            lead_nowhere(self._screen.fileno())
