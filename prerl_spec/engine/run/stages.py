"""Progress of a run's stages to whoever listens, and the places where a signal may end the run."""

from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.processes.signals import Signals
from prerl_spec.engine.record.events import Listener
from prerl_spec.errors import Interrupted

INTERRUPTIBLE = ("sample", "verify", "evaluate", "check")
"""Stages that may be left in the middle: nothing of the policy has changed in them."""


class Stages:
    """What work calls while it goes on."""

    def __init__(self, listener: Listener, signals: Signals, ranks: Ranks) -> None:
        self._listener = listener
        self._signals = signals
        self._ranks = ranks

    def tick(self, stage: str, done: int, total: int) -> None:
        """Shows progress, and leaves an interruptible stage when a signal has come (one process only: several agree at
        the next step boundary, or their collective calls would wait for ever)."""
        self._listener.tick(stage, done, total)
        if self._signals.raised and self._ranks.size == 1 and stage.partition(":")[0] in INTERRUPTIBLE:
            raise _interrupted()

    def stop_if_asked(self) -> None:
        """Raises Interrupted on every rank when any has got a signal."""
        if self._ranks.any(self._signals.raised):
            raise _interrupted()


def _interrupted() -> Interrupted:
    return Interrupted("interrupted", hint="the same command goes on")
