"""Tells the processes of a run apart that work from those that have stopped, and passes a stop signal on to all of them.

Collective calls cannot do either: they wait for hours, since one process may sample or write for long while the others wait,
and a process that is stopped (SIGSTOP, a frozen container) or whose machine is gone leaves its connections open. So each
process counts in the store that torch.distributed has met in, from a thread, and looks at the others' counters.

Process 0 watches all others, which watch process 0: the traffic grows with the number of processes, not with its square.
"""

import itertools
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta

from torch.distributed import Store, TCPStore  # type: ignore[attr-defined]  # exported, but not in its __all__

from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.processes.signals import Signals
from prerl_spec.errors import EnvironmentUnmet, Interrupted, PeerLost, PrerlError, RunFailed
from prerl_spec.process.error_output import end_process
from prerl_spec.process.stop_signals import RESUME

STALE_SECONDS = 100.0
"""A process whose counter has not moved for this long has stopped."""
STALE_VARIABLE = "PRERL_SPEC_STALE_SECONDS"
"""Environment variable: another number of seconds."""
BEAT_SECONDS = 1.0
SECONDS_TO_FOLLOW = 15.0
"""How long a process may go on after another one has failed; usually a broken connection ends it at once."""

_LEFT = 1 << 32
"""Added to the counter of a process that has left."""
_STORE = -1
"""Stands for the store among the ranks that are watched."""
_lives = itertools.count()
"""Numbers the heartbeats of this process; all processes begin theirs in the same order."""


@contextmanager
def heartbeat(ranks: Ranks, signals: Signals) -> Iterator[None]:
    """Watches the other processes within the block; nothing with one process. A collective call.

    A process that has stopped ends this one with exit code 5 and an error that names it. A stop signal to any process
    sets `signals.raised` on all, within about two seconds.
    """
    if ranks.size == 1:
        yield
        return
    store = _joined_store()
    life = f"{os.environ.get('TORCHELASTIC_RUN_ID')}/{os.environ.get('TORCHELASTIC_RESTART_COUNT')}/{next(_lives)}"
    beat = Heartbeat(store, ranks.rank, ranks.size, signals, life=life, stale_seconds=stale_seconds())
    # Every counter exists before anyone reads them all.
    ranks.barrier()
    beat.start()
    failed = True
    try:
        yield
        failed = False
    except Interrupted:
        failed = signals.at_once  # else all processes stop together
        raise
    finally:
        beat.leave(failed=failed)


def stale_seconds() -> float:
    """Raises EnvironmentUnmet if the environment variable is not a positive number."""
    written = os.environ.get(STALE_VARIABLE)
    if written is None:
        return STALE_SECONDS
    try:
        seconds = float(written)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise EnvironmentUnmet(
            f"{STALE_VARIABLE} is {written!r}", hint="write a positive number of seconds, or unset it"
        )
    return seconds


class Heartbeat:
    """The counter of one process and its view of the others, over a store of its own.

    Two threads: one talks to the store, whose calls block for as long as the store does not answer; one measures how long
    nothing has been heard. `end(error, consequence)` ends this process.
    """

    def __init__(
        self,
        store: Store,
        rank: int,
        size: int,
        signals: Signals,
        *,
        life: str,
        stale_seconds: float,
        end: Callable[[PrerlError, bool], None] = lambda error, consequence: end_process(
            error, consequence=consequence
        ),
    ) -> None:
        self._store = store
        self._rank = rank
        self._size = size
        self._signals = signals
        self._prefix = f"prerl_spec/{life}"
        self._stale_seconds = stale_seconds
        self._end = end
        self._every = min(BEAT_SECONDS, stale_seconds / 8)
        watched = [r for r in range(size) if r != rank] if rank == 0 else [0]
        self._heard: dict[int, int] = dict.fromkeys([*watched, _STORE], 0)
        """The last value of each watched counter; for the store, the number of its answers."""
        self._has_left = threading.Event()
        self._failure: Mapping[str, int] | None = None
        """The first failure that any process has published: {"stale": RANK} or {"lost": RANK}."""
        self._to_publish: Mapping[str, int] | None = None
        self.is_started = False
        self._threads = [
            threading.Thread(target=work, name=f"heartbeat-{work.__name__}", daemon=True)
            for work in (self._talk, self._watch)
        ]
        store.add(self._key(rank), 1)

    def start(self) -> None:
        self.is_started = True
        for thread in self._threads:
            thread.start()

    def leave(self, *, failed: bool) -> None:
        """Ends the threads and tells the others that this process has left; with `failed`, that it cannot go on."""
        self._has_left.set()
        for thread in self._threads:
            thread.join(timeout=5.0)
        if self._threads[0].is_alive():
            return  # the store does not answer
        with suppress(RuntimeError):
            if failed:
                self._publish({"lost": self._rank})
            self._store.add(self._key(self._rank), _LEFT)

    def _key(self, rank: int) -> str:
        return f"{self._prefix}/beat/{rank}"

    def _publish(self, failure: Mapping[str, int]) -> None:
        """Tells the others, unless another failure has been told before: that one is the cause."""
        self._store.compare_set(f"{self._prefix}/failure", "", json.dumps(failure))

    def _talk(self) -> None:
        said = False
        while not self._has_left.wait(self._every):
            try:
                self._store.add(self._key(self._rank), 1)
                # Only the first one is told: `raised` is also set for what another process has told.
                if self._signals.raised and not said:
                    self._store.add(f"{self._prefix}/stop", 1)
                    said = True
                elif self._store.add(f"{self._prefix}/stop", 0):
                    self._signals.stop()
                others = [r for r in self._heard if r != _STORE]
                for rank, value in zip(others, self._store.multi_get([self._key(r) for r in others]), strict=True):
                    self._heard[rank] = int(value)
                if self._to_publish is not None:
                    self._publish(self._to_publish)
                    self._to_publish = None
                if self._failure is None and self._store.check([f"{self._prefix}/failure"]):
                    self._failure = json.loads(self._store.get(f"{self._prefix}/failure"))
                self._heard[_STORE] += 1
            except RuntimeError:
                # The process that holds the store has gone, at the run's end or before it. The watch goes on.
                return

    def _watch(self) -> None:
        silent = dict.fromkeys(self._heard, 0.0)
        seen = dict(self._heard)
        since_failure = 0.0
        before = time.monotonic()
        while not self._has_left.wait(self._every):
            now = time.monotonic()
            # While this process itself was stopped, or its machine asleep, nothing could be heard.
            passed, before = min(now - before, 2 * self._every), now
            for rank, value in list(self._heard.items()):
                silent[rank] = 0.0 if value != seen[rank] or value >= _LEFT else silent[rank] + passed
                seen[rank] = value
            since_failure += passed if self._failure is not None else 0.0
            if since_failure > SECONDS_TO_FOLLOW:
                self._end_with_the_others()
                return
            # If the store is silent, so is everything that is heard through it.
            stale = [r for r in sorted(silent) if silent[r] >= self._stale_seconds]
            if stale and not self._has_left.is_set():
                self._end_for(stale[0])
                return

    def _end_for(self, stale: int) -> None:
        if stale != _STORE:
            self._to_publish = {"stale": stale}
            # Time to tell it and for the others to read it: the store may end with this process.
            self._has_left.wait(3 * self._every)
        self._end(_stale_error(stale, self._size, self._stale_seconds), False)

    def _end_with_the_others(self) -> None:
        assert self._failure is not None
        if "stale" in self._failure:
            self._end(_stale_error(self._failure["stale"], self._size, self._stale_seconds), True)
            return
        lost = self._failure["lost"]
        self._end(PeerLost(f"process {lost} of {self._size} failed; its message states the cause", hint=RESUME), True)


def _stale_error(stale: int, size: int, seconds: float) -> RunFailed:
    where = f"process {stale} of {size}"
    if stale == _STORE:
        address = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
        by_agent = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
        where = f"{f'the launcher at {address}' if by_agent else f'process 0 of {size}'}"
    return RunFailed(
        f"{where} has not responded for {seconds:g} s: it is stopped or its machine is unreachable",
        hint="re-run the same command to resume from the last checkpoint",
    )


def _joined_store() -> Store:
    """A connection of our own to the store of the process group: calls on a shared one wait for each other."""
    return TCPStore(
        os.environ["MASTER_ADDR"],
        int(os.environ["MASTER_PORT"]),
        is_master=False,
        wait_for_workers=False,
        timeout=timedelta(seconds=60),
    )
