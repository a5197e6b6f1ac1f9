"""A verifier cannot hang, crash, poison or fool a run: real processes, real misdeeds."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Timer

import pytest

from prerl_spec.engine.batches.verifier_pool import VerifierPool, read_verdict
from prerl_spec.errors import EnvironmentUnmet
from prerl_spec.types import Outcome, Verdict
from tests.engine.nasty_verifiers import Nasty, Stillborn


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
        ("nan", "not a verdict"),
        ("seven", "not a verdict"),
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
    assert 2.0 <= time.monotonic() - began < 20.0


def test_a_timeout_that_does_not_happen_again_is_no_timeout(pool: VerifierPool, tmp_path: Path) -> None:
    file = tmp_path / "in time"
    Timer(0.5, file.touch).start()
    slow, other = pool.verify([("hang_once", str(file), False), ("4", "4", False)])
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


def test_a_verdict_needs_a_known_outcome_and_a_score_in_range() -> None:
    fair = {"outcome": "wrong", "score": 0.25, "answer": None, "detail": ""}
    assert read_verdict(fair) == Verdict(Outcome.WRONG, 0.25)
    for broken in ({"outcome": "splendid"}, {"score": True}, {"score": -0.1}, {"score": None}, {"detail": None}):
        assert read_verdict({**fair, **broken}) is None
    assert read_verdict({**fair, "outcome": "timeout", "score": 1.0}) == Verdict(Outcome.TIMEOUT, None)
