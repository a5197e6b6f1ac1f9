"""A process that has stopped is found and named, a signal to one reaches all: two heartbeats over one real store."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from prerl_spec.engine.processes import heartbeat
from prerl_spec.engine.processes.heartbeat import Heartbeat, stale_seconds
from prerl_spec.engine.processes.signals import Signals
from prerl_spec.errors import EnvironmentUnmet, PeerLost, PrerlError, RunFailed

SECONDS = 0.2


class Ended:
    """Stands for the end of the process: keeps the error that would be its last words."""

    def __init__(self) -> None:
        self.errors: list[PrerlError] = []
        self.is_there = threading.Event()

    def __call__(self, error: PrerlError, consequence: bool) -> None:
        self.errors.append(error)
        self.is_there.set()


class Process:
    """A rank with its connection to the store; it works from `start` to `leave`."""

    def __init__(self, port: int, rank: int, size: int, life: str, seconds: float) -> None:
        self.signals = Signals()
        self.ended = Ended()
        store = TCPStore("127.0.0.1", port, is_master=False, wait_for_workers=False, timeout=timedelta(seconds=5))
        self.beat = Heartbeat(store, rank, size, self.signals, life=life, stale_seconds=seconds, end=self.ended)


@contextmanager
def processes(life: str, size: int = 2, seconds: float = SECONDS) -> Iterator[list[Process]]:
    master = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    together = [Process(master.port, rank, size, life, seconds) for rank in range(size)]
    try:
        yield together
    finally:
        for process in together:
            if process.beat.is_started:
                process.beat.leave(failed=False)


@pytest.mark.parametrize("stopped", [0, 1])
def test_a_process_that_has_stopped_is_named_by_the_others(stopped: int) -> None:
    with processes(f"stopped {stopped}", size=3) as together:
        at_work = [p for rank, p in enumerate(together) if rank != stopped]
        for process in at_work:
            process.beat.start()
        # Rank 0 watches all, and tells rank 2, which watches rank 0 only; rank 2's own end then waits for a connection to
        # break first.
        finder = at_work[0]
        assert finder.ended.is_there.wait(10 * SECONDS)
        (error,) = finder.ended.errors
        assert isinstance(error, RunFailed)
        assert error.exit_code == 5
        assert error.message == (
            f"process {stopped} of 3 has not responded for {SECONDS:g} s: it is stopped or its machine is unreachable"
        )
        assert error.hint == "re-run the same command to resume from the last checkpoint"


def test_a_signal_to_one_process_reaches_all_and_nobody_is_called_stale() -> None:
    with processes("signal", size=3) as together:
        for process in together:
            process.beat.start()
        together[2].signals.stop()
        deadline = time.monotonic() + 5.0
        while time.monotonic() < deadline and not all(p.signals.raised for p in together):
            time.sleep(0.01)
        assert all(p.signals.raised for p in together)
        time.sleep(2 * SECONDS)
        assert not [p.ended.errors for p in together if p.ended.errors]


def test_a_process_that_has_left_is_not_missed_and_one_that_failed_ends_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(heartbeat, "SECONDS_TO_FOLLOW", 1.5 * SECONDS)
    for failed in (False, True):
        with processes(f"left {failed}") as together:
            for process in together:
                process.beat.start()
            together[1].beat.leave(failed=failed)
            assert together[0].ended.is_there.wait(3 * SECONDS) == failed
            if failed:
                (error,) = together[0].ended.errors
                assert isinstance(error, PeerLost)
                assert error.message == "process 1 of 2 failed; its message states the cause"


def test_time_in_which_the_watcher_itself_stood_still_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a SIGSTOP of the whole job, or a machine that slept: the clock has jumped, nothing has been heard yet."""
    clock = time.monotonic
    jumped = 0.0
    monkeypatch.setattr(heartbeat.time, "monotonic", lambda: clock() + jumped)
    with processes("asleep", seconds=5 * SECONDS) as (watcher, _):
        watcher.beat.start()
        time.sleep(1.5 * SECONDS)
        jumped = 1000.0
        # Three beats to tell the others, and one to notice, are 2.5 of these SECONDS.
        assert not watcher.ended.is_there.wait(2.6 * SECONDS)


def test_a_store_that_does_not_answer_is_process_0(monkeypatch: pytest.MonkeyPatch) -> None:
    with processes("store") as together:
        for process in together:
            process.beat.start()
        # As if the process that holds the store were stopped: its calls block.
        blocked = threading.Event()
        monkeypatch.setattr(together[1].beat, "_store", Blocking(blocked))
        assert together[1].ended.is_there.wait(10 * SECONDS)
        blocked.set()
        assert together[1].ended.errors[0].message.startswith("process 0 of 2 has not responded")


class Blocking:
    """A store whose calls do not return."""

    def __init__(self, until: threading.Event) -> None:
        self._until = until

    def add(self, key: str, amount: int) -> int:
        self._until.wait(30)
        raise RuntimeError("the connection is closed")


def test_the_limit_is_below_two_minutes_and_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert stale_seconds() + 4 * heartbeat.BEAT_SECONDS < 120
    monkeypatch.setenv("PRERL_SPEC_STALE_SECONDS", "3.5")
    assert stale_seconds() == 3.5
    monkeypatch.setenv("PRERL_SPEC_STALE_SECONDS", "soon")
    with pytest.raises(EnvironmentUnmet, match="PRERL_SPEC_STALE_SECONDS is 'soon'"):
        stale_seconds()
