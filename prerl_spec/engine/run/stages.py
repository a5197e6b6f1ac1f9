"""Reports the progress of a run's stages to the listener, and stops the run at safe points after a signal."""

from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.processes.signals import Signals
from prerl_spec.engine.record.events import Listener
from prerl_spec.errors import Interrupted

INTERRUPTIBLE = ("sample", "verify", "evaluate", "check")
"""Stages that may be aborted part-way: they do not change the policy."""


class Stages:
    """Progress reports and interruption checks, called by long-running work."""

    def __init__(self, listener: Listener, signals: Signals, ranks: Ranks) -> None:
        self._listener = listener
        self._signals = signals
        self._ranks = ranks

    def tick(self, stage: str, done: int, total: int) -> None:
        """Reports progress; raises Interrupted in an interruptible stage after a signal (with one process only: several
        stop together at the next step boundary, or their collective calls would deadlock)."""
        self._listener.tick(stage, done, total)
        if self._signals.raised and self._ranks.size == 1 and stage.partition(":")[0] in INTERRUPTIBLE:
            raise _interrupted()

    def stop_if_signalled(self) -> None:
        """Raises Interrupted on every rank if any rank has received a signal."""
        if self._ranks.any(self._signals.raised):
            raise _interrupted()


def _interrupted() -> Interrupted:
    return Interrupted("interrupted", hint="re-run the same command to resume")
