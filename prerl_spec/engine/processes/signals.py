"""Ctrl-C and SIGTERM stop a run at the next safe point; a second signal stops it at once, at the last checkpoint."""

import signal
from types import FrameType, TracebackType
from typing import Any

from prerl_spec.errors import Interrupted


class Signals:
    """While open, the first SIGINT or SIGTERM only sets a flag; the second raises Interrupted where it arrives."""

    def __init__(self) -> None:
        self.raised = False
        self.at_once = False
        """A second signal arrived: the weights may be those of an unfinished step."""
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Signals":
        for number in (signal.SIGINT, signal.SIGTERM):
            before = signal.getsignal(number)
            self._before[number] = before
            signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.raised:
            self.at_once = True
            raise Interrupted(
                "interrupted twice: the run is at its last checkpoint", hint="re-run the same command to resume"
            )
        self.raised = True
