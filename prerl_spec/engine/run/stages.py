"""Reports the progress of a run's stages, and stops the run at safe points after a signal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.processes.signals import Signals
from prerl_spec.errors import Interrupted
from prerl_spec.process.stop_signals import after_a_stop

INTERRUPTIBLE = ("sample", "verify", "evaluate", "check")
"""Stages that may be aborted part-way: they do not change the policy."""

Tick = Callable[[str, int, int], None]
"""`tick(stage, done, total)` reports progress; the stage of an evaluation is "evaluate:TASK"."""


class Stages:
    """Progress reports and interruption checks, called by long-running work."""

    def __init__(self, report: Tick, signals: Signals, ranks: Ranks) -> None:
        self._report = report
        self._signals = signals
        self._ranks = ranks
        self._is_alone = ranks.size == 1
        """Whether no other process waits for this one in a collective call."""

    def tick(self, stage: str, done: int, total: int) -> None:
        """Reports progress; raises Interrupted in an interruptible stage after a signal, with several processes inside
        `alone` only."""
        self._report(stage, done, total)
        if self._signals.raised and self._is_alone and stage.partition(":")[0] in INTERRUPTIBLE:
            raise _interrupted()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Around work without a collective call: after a signal each process stops within it, at its next tick, and all
        raise Interrupted together when the last of them has stopped or finished. A collective call.

        Without this, one process would leave while the others wait for it.
        """
        if self._ranks.size == 1:
            yield
            return
        self._is_alone = True
        stopped = False
        try:
            yield
        except Interrupted:
            if self._signals.at_once:
                raise
            stopped = True
        finally:
            self._is_alone = False
        if self._ranks.any(stopped):
            raise _interrupted()

    def stop_if_signalled(self) -> None:
        """Raises Interrupted on every rank if any rank has received a signal."""
        if self._ranks.any(self._signals.raised):
            raise _interrupted()


def _interrupted() -> Interrupted:
    return Interrupted("interrupted", hint=after_a_stop())
