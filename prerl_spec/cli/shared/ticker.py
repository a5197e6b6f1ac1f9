"""How far a command is: a line that is rewritten in place on a terminal; off one nothing, or a plain line now and then."""

import sys
from time import monotonic
from types import TracebackType

from prerl_spec.process.error_output import lead_nowhere

_SECONDS_BETWEEN = 0.1
SECONDS_BETWEEN_LINES = 30.0
"""Off a terminal a line is written when a stage begins, at each tenth of it, and at least this often."""
_PARTS = 10


class Ticker:
    """A context manager: the line is cleared at the end. `lines` writes plain lines where stderr is no terminal."""

    def __init__(self, *, enabled: bool = True, lines: bool = False) -> None:
        self._screen = sys.stderr
        self._shown = enabled and self._screen.isatty()
        self._lines = enabled and lines and not self._shown
        self._last = 0.0
        self._stage = ""
        self._part = 0

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
        elif self._lines:
            self._tick_line(stage, done, total, now)

    def _tick_line(self, stage: str, done: int, total: int, now: float) -> None:
        part = _PARTS * done // max(1, total)
        if stage == self._stage and part <= self._part and now - self._last < SECONDS_BETWEEN_LINES:
            return
        if stage != self._stage:
            self._part = part
        self._stage, self._last, self._part = stage, now, max(part, self._part)
        self._print(f"{stage.replace(':', ' ')} {done}/{total}\n")

    def _print(self, text: str) -> None:
        try:
            print(text, end="", file=self._screen, flush=True)
        except OSError:
            # The terminal, or the reader of a pipe, is gone: the work goes on without a display.
            self._shown = self._lines = False
            lead_nowhere(self._screen.fileno())
