"""Ctrl-C and SIGTERM end a run between two units of work; a second one ends it at once, at the last commit."""

import signal
from types import FrameType, TracebackType
from typing import Any

from prerl_spec.errors import Interrupted


class Signals:
    """While open, the first SIGINT or SIGTERM only raises a flag; the second raises Interrupted where it arrives."""

    def __init__(self) -> None:
        self.raised = False
        self.at_once = False
        """A second signal came: the weights may stand in the middle of a step."""
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
                "interrupted twice: the run stands at its last checkpoint", hint="the same command goes on"
            )
        self.raised = True
