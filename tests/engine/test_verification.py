"""A verifier cannot hang, crash, poison or fool a run: real processes, real misdeeds."""

import os
import secrets
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from prerl_spec.engine.verification import worker_set
from prerl_spec.engine.verification.verifier_pool import VerifierPool, read_verdict
from prerl_spec.engine.verification.verify_process import WorkerProcess, active
from prerl_spec.errors import EnvironmentUnmet
from prerl_spec.types import Outcome, Verdict
from tests.engine.nasty_verifiers import Down, Exemplary, Nasty, Stillborn, Threaded


def pool_of(verifier: Nasty) -> VerifierPool:
    return VerifierPool(verifier, entry_value=f"tests.engine.nasty_verifiers:{type(verifier).__name__}")


@pytest.fixture(scope="module")
def pool() -> Iterator[VerifierPool]:
    with pool_of(Nasty()) as opened:
        yield opened


def outcomes(verdicts: list[Verdict]) -> list[Outcome]:
    return [v.outcome for v in verdicts]


def is_running(pid: int) -> bool:
    """Whether the process lives; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def descendants(root: int) -> set[int]:
    """The processes below `root` that live, seen from outside of their namespaces."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    below = {root}
    while more := {pid for pid, parent in parents.items() if parent in below} - below:
        below |= more
    return {pid for pid in below - {root} if is_running(pid)}


def command_of(process: Path) -> str:
    """The command line of a folder of /proc; empty if it has ended."""
    try:
        return (process / "cmdline").read_text(errors="replace")
    except OSError:
        return ""


def ends_soon(pid: int) -> bool:
    """A signal takes a moment to arrive."""
    deadline = time.monotonic() + 5
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not is_running(pid)


def test_verdicts_come_back_in_order(pool: VerifierPool) -> None:
    items = [(str(i), str(i - i % 2), False) for i in range(50)]
    verdicts = pool.verify(items)
    assert outcomes(verdicts) == [Outcome.WRONG if i % 2 else Outcome.RIGHT for i in range(50)]
    assert [v.answer for v in verdicts] == [str(i) for i in range(50)]


def test_several_workers_share_the_work_and_keep_the_order() -> None:
    with pool_of(Nasty(num_workers=2)) as opened:
        verdicts = opened.verify([("worker", "", False)] * 20 + [(str(i), "7", False) for i in range(10)])
    assert len({v.answer for v in verdicts[:20]}) == 2
    assert [v.answer for v in verdicts[20:]] == [str(i) for i in range(10)]


def test_a_truncated_response_is_unparsable_without_being_judged(pool: VerifierPool) -> None:
    (verdict,) = pool.verify([("raise", "4", True)])
    assert (verdict.outcome, verdict.score) == (Outcome.UNPARSABLE, 0.0)


def test_nothing_to_judge_is_no_work(pool: VerifierPool) -> None:
    assert pool.verify([]) == []


def test_a_worker_loads_no_torch_and_judges_in_its_main_thread(pool: VerifierPool) -> None:
    modules, thread = pool.verify([("modules", "", False), ("thread", "", False)])
    assert "pydantic" in modules.answer.split()
    assert not {"torch", "transformers", "datasets", "vllm"} & set(modules.answer.split())
    assert thread.answer == "MainThread"


def test_a_worker_serves_until_it_is_replaced(pool: VerifierPool) -> None:
    first, again = pool.verify([("worker", "", False)] * 2)
    assert first.answer == again.answer
    _, after = pool.verify([("exit", "", False), ("worker", "", False)])
    assert after.answer != first.answer


@pytest.mark.parametrize(
    ("misdeed", "cause"),
    [
        ("raise", "ValueError: no idea"),
        ("leave", "SystemExit"),
        ("exit", "exited with 0"),
        ("segfault", "signal 11"),
        ("number", "float, not a Verdict"),
        ("nan", "nasty_verifiers:Nasty contradicts itself: right with a score of nan"),
        ("seven", "nasty_verifiers:Nasty contradicts itself: right with a score of 7"),
        ("half_right", "nasty_verifiers:Nasty contradicts itself: right with a score of 0"),
        ("all_wrong", "nasty_verifiers:Nasty contradicts itself: wrong with a score of 1"),
        ("graded_unparsable", "nasty_verifiers:Nasty contradicts itself: unparsable with a score of 0.5"),
        ("text", "nasty_verifiers:Nasty contradicts itself: right with a score of '1.0'"),
        ("true", "nasty_verifiers:Nasty contradicts itself: right with a score of True"),
        ("scoreless", "nasty_verifiers:Nasty contradicts itself: wrong without a score"),
        ("late_with_score", "nasty_verifiers:Nasty contradicts itself: timeout with a score of 0.0"),
        ("outcome_of_text", "nasty_verifiers:Nasty contradicts itself: its outcome is 'right', not an Outcome"),
        ("shot", "signal 9"),
        ("hog", "MemoryError"),
        ("babble", "unexpected message"),
    ],
)
def test_a_misdeed_is_an_error_and_harms_no_other_verdict(pool: VerifierPool, misdeed: str, cause: str) -> None:
    before, verdict, after = pool.verify([("4", "4", False), (misdeed, "4", False), ("5", "4", False)])
    assert (before.outcome, after.outcome) == (Outcome.RIGHT, Outcome.WRONG)
    assert (verdict.outcome, verdict.score) == (Outcome.ERROR, None)
    assert cause in verdict.detail


def test_a_verifier_that_hangs_is_killed_twice_and_times_out(pool: VerifierPool) -> None:
    began = time.monotonic()
    before, verdict, after = pool.verify([("4", "4", False), ("hang", "4", False), ("5", "4", False)])
    assert outcomes([before, verdict, after]) == [Outcome.RIGHT, Outcome.TIMEOUT, Outcome.WRONG]
    assert verdict.score is None
    assert 1.0 <= time.monotonic() - began < 20.0


def test_a_timeout_that_does_not_happen_again_is_no_timeout(pool: VerifierPool) -> None:
    slow, other = pool.verify([("hang_once", "once", False), ("4", "4", False)])
    assert outcomes([slow, other]) == [Outcome.RIGHT, Outcome.RIGHT]


def test_memory_that_earlier_items_used_up_is_not_held_against_the_next() -> None:
    with pool_of(Nasty(memory_bytes=2**30)) as opened:
        verdicts = opened.verify([("leak", "", False)] * 5)
    assert outcomes(verdicts) == [Outcome.RIGHT] * 5


@pytest.mark.parametrize("misdeed", ["flood", "forge"])
def test_what_a_verifier_prints_is_no_answer(
    pool: VerifierPool, misdeed: str, capfd: pytest.CaptureFixture[str]
) -> None:
    verdict, after = pool.verify([(misdeed, "4", False), ("4", "4", False)])
    assert (verdict.outcome, after.outcome) == (Outcome.WRONG, Outcome.RIGHT)
    assert capfd.readouterr() == ("", "")


def test_an_endless_answer_is_cut(pool: VerifierPool) -> None:
    (verdict,) = pool.verify([("essay", "", False)])
    assert verdict.outcome is Outcome.RIGHT
    assert len(verdict.answer) == len(verdict.detail) == 2000


def test_any_text_can_be_judged(pool: VerifierPool) -> None:
    texts = ["", "\x00", "\ud800", "😀", "a" * 10**6, '"}\n']
    verdicts = pool.verify([(t, t, False) for t in texts])
    assert outcomes(verdicts) == [Outcome.RIGHT] * len(texts)


def test_no_process_outlives_the_pool() -> None:
    before = descendants(os.getpid())
    with pool_of(Nasty(seconds_allowed=30.0)) as opened:
        opened.verify([("child", "", False)])
        started = descendants(os.getpid()) - before
        assert len(started) >= 3
    assert not any(map(is_running, started))
    with pytest.raises(ChildProcessError):
        os.waitpid(min(started), os.WNOHANG)


def test_a_hanging_worker_dies_with_a_trainer_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "trainer.py"
    script.write_text(
        "from tests.engine.test_verification import *\n"
        "with pool_of(Nasty(seconds_allowed=60.0)) as opened:\n"
        "    print(opened.verify([('4', '4', False)])[0].score, flush=True)\n"
        "    opened.verify([('hang', '', False)])\n"
    )
    root = Path(__file__).resolve().parents[2]
    trainer = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(root)}
    )
    assert float(trainer.stdout.readline()) == 1.0
    time.sleep(0.2)
    started = descendants(trainer.pid)
    assert len(started) >= 2
    trainer.kill()
    trainer.wait()
    trainer.stdout.close()
    assert all(map(ends_soon, started))


def test_an_interrupted_verification_leaves_no_stale_answer_behind() -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pool_of(Nasty(num_workers=2)) as opened:
        with pytest.raises(KeyboardInterrupt):
            opened.verify([("4", "4", False), ("nap", "", False)], progress=interrupt)
        assert outcomes(opened.verify([("nap", "", False)])) == [Outcome.RIGHT]


def test_progress_counts_every_verdict_once(pool: VerifierPool) -> None:
    seen: list[tuple[int, int]] = []
    pool.verify([("1", "1", False), ("2", "2", True), ("raise", "", False)], progress=lambda *p: seen.append(p))
    assert seen == [(2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("verifier", "entry", "cause"),
    [
        (Stillborn(), "tests.engine.nasty_verifiers:Stillborn", "the reference solution is missing"),
        (Nasty(), "tests.engine.nasty_verifiers:Missing", "Missing"),
        (Nasty(memory_bytes=2**20), "tests.engine.nasty_verifiers:Nasty", "memory_mb"),
    ],
)
def test_a_verifier_that_cannot_be_started_is_said_before_anything_is_judged(
    verifier: Nasty, entry: str, cause: str
) -> None:
    with pytest.raises(EnvironmentUnmet) as caught, VerifierPool(verifier, entry_value=entry):
        pass
    assert cause in f"{caught.value.message} {caught.value.hint}"


def test_a_reply_needs_a_known_outcome_and_a_score_that_fits_it() -> None:
    fair = {"outcome": "wrong", "score": 0.25, "answer": None, "detail": ""}
    assert read_verdict(fair, "it") == Verdict(Outcome.WRONG, 0.25)
    for broken in (
        {"outcome": "splendid"},
        {"score": True},
        {"score": -0.1},
        {"score": None},
        {"score": "0"},
        {"score": 1.0},
        {"detail": None},
        {"outcome": "right"},
        {"outcome": "timeout"},
    ):
        verdict = read_verdict({**fair, **broken}, "it")
        assert (verdict.outcome, verdict.score) == (Outcome.ERROR, None), broken
        assert " it " in verdict.detail
    assert read_verdict({**fair, "outcome": "timeout", "score": None, "by_answer": True}, "it") == Verdict(
        Outcome.TIMEOUT, None
    ), "a verifier does not say whose doing a timeout is"


@pytest.mark.parametrize("fields", [{"score": 10**400}, {"outcome": []}, {"outcome": {}}])
def test_a_reply_made_to_upset_the_trainer_is_an_error(fields: dict[str, object]) -> None:
    reply = {"outcome": "right", "score": 1.0, "answer": None, "detail": "", **fields}
    assert read_verdict(reply, "nasty:Nasty").outcome is Outcome.ERROR


def test_a_message_nested_beyond_reading_ends_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = WorkerProcess.__new__(WorkerProcess)
    monkeypatch.setattr(worker, "kill", lambda: setattr(worker, "is_over", True))
    worker.is_over, worker.is_ready, worker.has_served = False, True, True
    worker.incoming = bytearray((60_000).to_bytes(4, "big") + b"[" * 60_000)
    worker._take_frames(None)
    assert worker.fault == "the worker sent an unexpected message"


def test_every_verdict_that_a_verifier_may_give_is_taken() -> None:
    for outcome, score in (("right", 1.0), ("wrong", 0.0), ("wrong", 0.75), ("unparsable", 0.0), ("error", None)):
        message = {"outcome": outcome, "score": score, "answer": "7", "detail": "why"}
        assert read_verdict(message, "it") == Verdict(Outcome(outcome), score, "7", "why")


def test_a_timeout_is_the_answers_doing_if_the_verifier_then_judges_its_own_example() -> None:
    with pool_of(Exemplary()) as opened:
        right, busy, asleep, wrong = opened.verify([(t, "4", False) for t in ("4", "hang", "asleep", "5")])
    assert outcomes([right, wrong]) == [Outcome.RIGHT, Outcome.WRONG]
    for verdict in (busy, asleep):
        assert (verdict.outcome, verdict.score, verdict.by_answer, verdict.is_fault) == (
            Outcome.TIMEOUT,
            None,
            True,
            False,
        )
        assert "no verdict after 0.3 s at the second try" in verdict.detail


def test_an_answers_timeout_has_a_score_where_it_is_trained_as_unparsable() -> None:
    with pool_of(Exemplary(on_timeout="unparsable")) as opened:
        (verdict,) = opened.verify([("hang", "4", False)])
    assert (verdict.outcome, verdict.score, verdict.by_answer) == (Outcome.TIMEOUT, 0.0, True)


@pytest.mark.parametrize(
    "verifier", [Nasty(seconds_allowed=0.3), Down()], ids=["without an example", "whose example hangs too"]
)
def test_a_timeout_is_the_verifiers_doing_if_no_example_says_otherwise(verifier: Nasty) -> None:
    with pool_of(verifier) as opened:
        (verdict,) = opened.verify([("hang", "4", False)])
    assert (verdict.outcome, verdict.score, verdict.by_answer, verdict.is_fault) == (Outcome.TIMEOUT, None, False, True)


def test_a_verifier_that_is_down_is_not_waited_for_again_and_again() -> None:
    with pool_of(Down()) as opened:
        verdicts = opened.verify([(str(i), "4", False) for i in range(20)])
    assert {(v.outcome, v.by_answer) for v in verdicts} == {(Outcome.TIMEOUT, False)}
    assert sum("at the second try" in v.detail for v in verdicts) < 8, "the others were given up"


def test_work_that_takes_longer_than_a_first_try_is_judged_at_the_second(pool: VerifierPool) -> None:
    work = ("slow", "0.2", False)
    verdicts = pool.verify([("pid", "4", False), work, work, ("5", "4", False)])
    assert outcomes(verdicts) == [Outcome.RIGHT, Outcome.RIGHT, Outcome.RIGHT, Outcome.WRONG]
    assert len({v.answer for v in verdicts[:3]}) == 3, "each second try is in a fresh process"


def test_a_reply_that_nobody_has_read_in_time_is_no_timeout(
    pool: VerifierPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that is given no turn: the request has been sent, and its reply has come, when it looks again."""
    turns: list[float] = []

    def late(workers: Sequence[WorkerProcess], waker: None = None) -> list[WorkerProcess]:
        if turns:
            return active(workers, waker)
        (worker,) = workers
        assert select.select([worker.socket], [], [], 30.0)[0], "nothing was sent before the time began"
        turns.append(worker.deadline)
        time.sleep(max(0.0, worker.deadline - time.monotonic()) + 0.01)
        return []

    (before,) = pool.verify([("pid", "", False)])
    monkeypatch.setattr(worker_set, "active", late)
    (verdict,) = pool.verify([("pid", "", False)])
    assert turns
    assert verdict.answer == before.answer, "a second try is in another process"


def test_what_a_hanging_verdict_has_started_ends_with_it(pool: VerifierPool) -> None:
    seconds = f"61.{secrets.randbelow(10**9):09d}"
    [verdict] = pool.verify([("hang_with_child", seconds, False)])
    assert verdict.outcome is Outcome.TIMEOUT, "the child was started at both tries"
    started = [int(folder.name) for folder in Path("/proc").glob("[0-9]*") if seconds in command_of(folder)]
    assert all(map(ends_soon, started))


@pytest.mark.slow
def test_a_worker_that_cannot_be_copied_is_started_anew() -> None:
    with pool_of(Threaded()) as opened:
        before, verdict, after = opened.verify([(t, "4", False) for t in ("4", "hang", "5")])
    assert outcomes([before, verdict, after]) == [Outcome.RIGHT, Outcome.TIMEOUT, Outcome.WRONG]
    assert verdict.by_answer


@pytest.mark.slow
def test_the_machines_load_decides_no_timeout() -> None:
    """Half a second of work under a deadline of one, while eight others want each core."""
    busy = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(8 * len(os.sched_getaffinity(0)))
    ]
    try:
        with pool_of(Exemplary(seconds_allowed=1.0)) as opened:
            slow, hanging = opened.verify([("slow", "0.5", False), ("hang", "", False)])
    finally:
        for process in busy:
            process.kill()
            process.wait()
    assert outcomes([slow, hanging]) == [Outcome.RIGHT, Outcome.TIMEOUT]
    assert hanging.by_answer, "the example, too, has its time"


@pytest.mark.parametrize(("seconds_by_the_clock", "is_late"), [(19.0, False), (21.0, True)])
def test_programs_that_starve_their_verifier_put_off_its_deadline_twenty_times_at_most(
    monkeypatch: pytest.MonkeyPatch, seconds_by_the_clock: float, is_late: bool
) -> None:
    """All but a tenth of a second of it was spent waiting for a core."""
    monkeypatch.setattr(WorkerProcess, "_waited", lambda self: seconds_by_the_clock - 0.1)
    worker = WorkerProcess.__new__(WorkerProcess)
    worker.seconds_allowed, worker._waited_before = 1.0, 0.0
    worker._began = time.monotonic() - seconds_by_the_clock
    worker.deadline = worker._began + 1.0
    assert worker.is_out_of_time() is is_late


def test_golds_are_checked_in_workers_once_each(pool: VerifierPool) -> None:
    seen: list[tuple[int, int]] = []
    golds = ["4", "pid", "", "raise", "exit", "hang", "4", "hang"]
    good, pid, empty, error, ended, late, again, late_again = pool.check_golds(golds, lambda *told: seen.append(told))
    assert (good, again, empty) == (None, None, "it is empty")
    assert pid != str(os.getpid())
    assert error == "the check of its gold answer failed: ValueError: no idea"
    assert ended == "the check of its gold answer failed: the worker exited with 3"
    assert late == late_again == "the check of its gold answer took more than 1 s"
    assert seen == [(n, 6) for n in range(1, 7)], "equal golds are checked once"
    assert outcomes(pool.verify([("4", "4", False)])) == [Outcome.RIGHT]
