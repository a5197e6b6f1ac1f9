"""Verdicts beside sampling: asked for as samples end, waited for when all have ended, recorded after the tokens."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from prerl_spec.engine.batches import source
from prerl_spec.engine.processes.spare_cores import spare_cores
from prerl_spec.engine.run import phase_runner
from prerl_spec.engine.verification import first_tries, worker_set
from prerl_spec.engine.verification.verdict_batch import VerdictBatch
from prerl_spec.engine.verification.verifier_pool import VerifierPool
from prerl_spec.engine.verification.verifier_pools import VerifierPools
from prerl_spec.engine.verification.worker_set import Reply, Result, WorkerSet
from prerl_spec.errors import EnvironmentUnmet
from prerl_spec.storage.disk import Operation, observed
from prerl_spec.storage.frames import FrameKind
from prerl_spec.storage.journal_frames import step_file
from prerl_spec.types import Outcome
from tests.engine import parity
from tests.engine.nasty_verifiers import Exemplary, Nasty, Stillborn
from tests.engine.parity_parts import EverySecond
from tests.engine.runs import Heard, steps_of, weights_at
from tests.engine.test_verification import descendants, is_running, outcomes, pool_of
from tests.run_files import frames_of

SECONDS = 30.0
"""Longer than anything here takes on the busiest machine."""

SAMPLED = """
[[phases]]
id = "refine"
prompts_per_step = 4
objective = "grpo"
schedule = { use = "fixed_steps", steps = 1 }
"""


class Replies(threading.Semaphore):
    """Counts the workers' replies; `await_one` waits for one more."""

    def await_one(self) -> None:
        assert self.acquire(timeout=SECONDS), "no worker has replied"


@pytest.fixture
def replies(monkeypatch: pytest.MonkeyPatch) -> Replies:
    counted = Replies(0)
    renew = first_tries.FirstTries._renew_spent

    def count(first: first_tries.FirstTries, result: Result, number: int) -> None:
        renew(first, result, number)
        if isinstance(result, Reply):
            counted.release()

    monkeypatch.setattr(first_tries.FirstTries, "_renew_spent", count)
    return counted


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "verdicts"]


def await_end(thread: threading.Thread) -> None:
    thread.join(SECONDS)
    assert not thread.is_alive()


def judge_beside(patched: pytest.MonkeyPatch) -> None:
    """Whatever cores the machine has, and however quick the verifier is."""
    patched.setattr(phase_runner, "spare_cores", lambda device: 1)
    patched.setattr(first_tries, "WORTH_SECONDS", 0.0)


@pytest.fixture(autouse=True)
def beside(monkeypatch: pytest.MonkeyPatch) -> None:
    judge_beside(monkeypatch)


@pytest.fixture(scope="module")
def pool() -> Iterator[VerifierPool]:
    # A first try has half a second: on a busy machine a thread may wait long for its turn.
    with pool_of(Nasty(num_workers=2, seconds_allowed=20.0)) as opened:
        yield opened


def test_an_item_is_judged_while_the_caller_does_something_else(pool: VerifierPool, replies: Replies) -> None:
    with pool.batch(beside=2) as batch:
        for place, response in enumerate("45"):
            batch.ask(place, (response, "4", False))
            replies.await_one()
        batch.ask(2, ("4", "4", False))
        assert outcomes([batch.verdicts()[place] for place in range(3)]) == [
            Outcome.RIGHT,
            Outcome.WRONG,
            Outcome.RIGHT,
        ]
    assert threads() == []


def test_nothing_is_judged_beside_the_caller_unless_he_says_so(pool: VerifierPool) -> None:
    with pool.batch() as batch:
        batch.ask(0, ("4", "4", False))
        assert threads() == []
        assert outcomes(list(batch.verdicts().values())) == [Outcome.RIGHT]


def test_so_many_workers_are_busy_beside_the_caller_as_he_says(pool: VerifierPool, replies: Replies) -> None:
    with pool.batch(beside=1) as batch:
        for place in range(20):
            batch.ask(place, ("worker", "", False))
        for _ in range(20):
            replies.await_one()
        assert len({verdict.answer for verdict in batch.verdicts().values()}) == 1


def test_a_verifier_that_is_quick_is_waited_for(pool: VerifierPool, monkeypatch: pytest.MonkeyPatch) -> None:
    pool.verify([("4", "4", False)])
    monkeypatch.setattr(first_tries, "WORTH_SECONDS", SECONDS)
    with pool.batch(beside=1) as batch:
        batch.ask(0, ("4", "4", False))
        assert threads() == []
        assert outcomes(list(batch.verdicts().values())) == [Outcome.RIGHT]


def test_how_long_replies_take_is_learned_where_the_caller_waits_for_them(
    pool: VerifierPool, replies: Replies, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside his work a quick reply is read late: it would seem slow enough to be judged there for ever."""
    learned: list[float] = []
    monkeypatch.setattr(first_tries.Pace, "learn", lambda pace, seconds: learned.append(seconds))
    with pool.batch(beside=1) as batch:
        batch.ask(0, ("4", "4", False))
        replies.await_one()
        batch.verdicts()
    assert learned == []
    pool.verify([("4", "4", False)])
    assert len(learned) == 1


def test_nobody_judges_beside_the_caller_before_it_is_known_how_long_that_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(first_tries, "WORTH_SECONDS", 1e-3)
    pace = first_tries.Pace(1.0)
    assert not pace.is_worth_a_thread
    pace.learn(2e-3)
    assert pace.is_worth_a_thread


def test_cores_are_spare_that_neither_torch_nor_another_process_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    cpu, gpu = torch.device("cpu"), torch.device("cuda", 0)
    assert (spare_cores(cpu), spare_cores(gpu)) == (5, 7)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert (spare_cores(cpu), spare_cores(gpu)) == (0, 1)


def test_a_worker_that_dies_beside_the_caller_is_replaced_and_harms_no_other_verdict(
    pool: VerifierPool, replies: Replies
) -> None:
    with pool.batch(beside=2) as batch:
        batch.ask(0, ("exit", "", False))
        (first,) = threads()
        for place in range(1, 1000):
            # Nobody starts a worker but the caller: the thread ends when there is something for the dead one to do.
            batch.ask(place, ("4", "4", False))
            first.join(0.01)
            if not first.is_alive():
                break
        assert not first.is_alive()
        batch.ask(1000, ("5", "4", False))
        replies.await_one()
        verdicts = batch.verdicts()
    dead, *between, last = [verdicts[place] for place in sorted(verdicts)]
    assert "exited with 0" in dead.detail
    assert outcomes([dead, *between, last]) == [Outcome.ERROR, *[Outcome.RIGHT] * len(between), Outcome.WRONG]


def test_an_answer_that_is_late_beside_the_caller_has_its_second_try_after_the_others() -> None:
    items = [("hang", "", False), ("4", "4", False), ("5", "4", False), ("4", "4", True)]
    seen: list[int] = []
    with pool_of(Exemplary()) as opened, opened.batch(beside=1) as batch:
        for place, item in enumerate(items):
            batch.ask(place, item)
        verdicts = [found for _, found in sorted(batch.verdicts(lambda done, total: seen.append(total - done)).items())]
    assert outcomes(verdicts) == [Outcome.TIMEOUT, Outcome.RIGHT, Outcome.WRONG, Outcome.UNPARSABLE]
    assert verdicts[0].by_answer
    assert seen == [2, 1, 0], "one is known without being judged, and the one that hangs is last"


def test_a_batch_that_is_given_up_leaves_no_thread_and_no_stale_answer(pool: VerifierPool) -> None:
    with suppress(KeyboardInterrupt), pool.batch(beside=2) as batch:
        batch.ask(0, ("nap", "", False))
        raise KeyboardInterrupt
    assert threads() == []
    assert outcomes(pool.verify([("4", "4", False), ("nap", "", False)])) == [Outcome.RIGHT] * 2


@contextmanager
def sigint_raises() -> Iterator[None]:
    """As in a fresh interpreter, whatever an earlier test of this process has left."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_signal_while_the_thread_is_ended_leaves_it_its_time(
    pool: VerifierPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has a worker in hand: to kill one takes seconds if need be. Nobody else touches it meanwhile."""
    held, go = threading.Event(), threading.Event()
    order: list[str] = []

    def hold(first: first_tries.FirstTries, result: Result, number: int) -> None:
        held.set()
        go.wait(SECONDS)
        order.append("thread")

    def interrupt() -> None:
        while not first._stops:
            time.sleep(0.01)
        # To that thread itself: a signal to the process may reach another one, and then does not end its wait.
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        time.sleep(0.1)
        go.set()

    monkeypatch.setattr(first_tries.FirstTries, "_renew_spent", hold)
    give_up = WorkerSet.give_up
    monkeypatch.setattr(WorkerSet, "give_up", lambda workers: [order.append("caller"), give_up(workers)])
    with sigint_raises(), suppress(KeyboardInterrupt), pool.batch(beside=1) as batch:
        first = batch._first
        batch.ask(0, ("4", "4", False))
        assert held.wait(SECONDS)
        threading.Thread(target=interrupt, daemon=True).start()
        batch.verdicts()
    assert order == ["thread", "caller"], "one is the batch's end: the signal has interrupted the wait for its verdicts"
    assert threads() == []


def test_verdicts_come_back_by_place_and_what_fails_is_said_when_they_are_waited_for() -> None:
    """Equal declarations share a pool, others have their own; a sample is not lost by a verifier that cannot be started."""
    with ExitStack() as stack:
        pools = VerifierPools(stack)
        with pools.asked(beside=1) as asked:
            for place, verifier in enumerate([Nasty(), Nasty(seconds_allowed=2.0), Nasty()]):
                asked.ask(verifier, place, (str(place), "1", False))
            assert {place: verdict.answer for place, verdict in asked.verdicts().items()} == {0: "0", 1: "1", 2: "2"}
        with pools.asked(beside=1) as asked:
            asked.ask(Stillborn(), 0, ("4", "4", False))
            asked.ask(Nasty(), 1, ("4", "4", False))
            with pytest.raises(EnvironmentUnmet, match="the reference solution is missing"):
                asked.verdicts()


def test_verifiers_share_the_cores_that_are_free(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []
    batch = VerifierPool.batch

    def note(pool: VerifierPool, *, beside: int = 0) -> VerdictBatch:
        given.append(beside)
        return batch(pool, beside=beside)

    monkeypatch.setattr(VerifierPool, "batch", note)
    with ExitStack() as stack, VerifierPools(stack).asked(beside=2) as asked:
        for place, seconds in enumerate([1.0, 2.0, 3.0, 1.0]):
            asked.ask(Nasty(seconds_allowed=seconds), place, ("4", "4", True))
    assert given == [1, 1, 0]


def test_a_machine_that_has_no_process_left_says_so_when_the_verdicts_are_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*order: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(worker_set, "WorkerProcess", refuse)
    with ExitStack() as stack, VerifierPools(stack).asked(beside=1) as asked:
        asked.ask(Nasty(), 0, ("4", "4", False))
        with pytest.raises(BlockingIOError):
            asked.verdicts()


class Early(NamedTuple):
    run: Path
    held: list[list[FrameKind]]


@pytest.fixture(scope="module")
def early(tmp_path_factory: pytest.TempPathFactory) -> Early:
    """A run whose verdicts are asked for beside sampling, in three rounds a step, and what its journal held at each sync."""
    folder = tmp_path_factory.mktemp("early")
    file = step_file(folder / "runs" / "small" / "journal", 1)
    held: list[list[FrameKind]] = []

    def see(operation: Operation) -> None:
        if operation.kind == "sync" and operation.path == file:
            held.append([frame.kind for frame in frames_of(folder / "runs" / "small", 1)])

    with observed(see), pytest.MonkeyPatch.context() as patched:
        judge_beside(patched)
        return Early(parity.start(folder, SAMPLED, filters=(EverySecond(),)), held)


def test_a_run_is_the_same_whether_its_sampler_tells_or_not(
    early: Early, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Nobody: ...

    monkeypatch.setattr(source, "StreamingSampler", Nobody)
    late = parity.start(tmp_path, SAMPLED, filters=(EverySecond(),))
    files = [step_file(run / "journal", 1).read_bytes() for run in (early.run, late)]
    assert files[0] == files[1]
    assert same_end(early.run, late)


def test_tokens_are_on_the_disk_before_a_verdict_of_theirs(early: Early) -> None:
    told = [(kinds.count(FrameKind.GROUP), kinds.count(FrameKind.VERDICTS)) for kinds in early.held]
    assert told == [(0, 0), (4, 0), (4, 4), (6, 4), (6, 6), (7, 6), (7, 7)]


def same_end(one: Path, other: Path) -> bool:
    hashes, others = ([e["hashes"] for e in steps_of(run)] for run in (one, other))
    return hashes == others and all(torch.equal(weights_at(other, 1)[n], t) for n, t in weights_at(one, 1).items())


@pytest.mark.slow
def test_a_run_that_is_stopped_while_it_samples_ends_its_verdicts_and_comes_to_the_same_end(
    early: Early, tmp_path: Path
) -> None:
    """In the second round, when samples have been told and are judged."""

    class Stopped(Heard):
        def tick(self, stage: str, done: int, total: int) -> None:
            if stage == "sample" and total == 8 and threads():
                raise KeyboardInterrupt

    before = descendants(os.getpid())
    with pytest.raises(KeyboardInterrupt):
        parity.start(tmp_path, SAMPLED, Stopped(), filters=(EverySecond(),))
    assert threads() == []
    assert not any(map(is_running, descendants(os.getpid()) - before))
    assert [frame.kind for frame in frames_of(tmp_path / "runs" / "small", 1)].count(FrameKind.VERDICTS) == 4
    resumed = parity.start(tmp_path, SAMPLED, filters=(EverySecond(),))
    assert same_end(early.run, resumed)
