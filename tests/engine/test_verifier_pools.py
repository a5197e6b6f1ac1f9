"""Worker processes start when they are needed, serve equal declarations together, and end with the run."""

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NoReturn

import pytest

from prerl_spec.engine.run import session
from prerl_spec.engine.verification import worker_set
from prerl_spec.engine.verification.verifier_pools import VerifierPools
from prerl_spec.errors import RunFailed
from tests.engine.nasty_verifiers import Nasty
from tests.engine.runs import start
from tests.engine.test_verification import command_of, descendants, is_running


def worker_of(pools: VerifierPools, verifier: Nasty) -> str:
    """The worker that judges."""
    (verdict,) = pools.judge(verifier, [("worker", "", False)])
    assert verdict.answer is not None
    return verdict.answer


def test_equal_declarations_share_their_workers_and_others_do_not() -> None:
    before = descendants(os.getpid())
    with ExitStack() as stack:
        pools = VerifierPools(stack)
        first = worker_of(pools, Nasty())
        # An evaluator may make the declaration anew for every round.
        assert worker_of(pools, Nasty()) == first
        assert worker_of(pools, Nasty(seconds_allowed=2.0)) != first
        started = descendants(os.getpid()) - before
        assert len(started) >= 4
    assert not any(map(is_running, started))


def test_nothing_to_judge_starts_no_worker() -> None:
    with ExitStack() as stack:
        pools = VerifierPools(stack)
        assert pools.judge(Nasty(memory_bytes=1), []) == []


def test_every_verdict_is_progress() -> None:
    seen: list[tuple[int, int]] = []
    with ExitStack() as stack:
        pools = VerifierPools(stack, lambda done, total: seen.append((done, total)))
        pools.judge(Nasty(), [("a", "a", False), ("b", "a", False)])
    assert seen == [(1, 2), (2, 2)]


def test_processes_that_were_begun_long_ago_are_those_that_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[worker_set.WorkerProcess] = []

    def noted(*arguments: Any) -> worker_set.WorkerProcess:
        made.append(process(*arguments))
        return made[-1]

    process = worker_set.WorkerProcess
    monkeypatch.setattr(worker_set, "WorkerProcess", noted)
    with ExitStack() as stack:
        pools = VerifierPools(stack)
        pools.begin(Nasty())
        pools.begin(Nasty())
        (begun,) = made
        # Whoever loads a model meanwhile has not looked: its seconds to start count from when it is waited for.
        begun.deadline = 0.0
        worker_of(pools, Nasty())
        assert made == [begun]


def test_processes_that_nobody_comes_to_use_end_with_the_run() -> None:
    before = descendants(os.getpid())
    with ExitStack() as stack:
        VerifierPools(stack).begin(Nasty())
        started = descendants(os.getpid()) - before
        assert started
    assert not any(map(is_running, started))


def test_a_run_starts_its_verifier_before_it_loads_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, loading = descendants(os.getpid()), set[int]()

    def load(*_: Any, **__: Any) -> NoReturn:
        new = descendants(os.getpid()) - before
        loading.update(pid for pid in new if "verify_session" in command_of(Path(f"/proc/{pid}")))
        raise RunFailed("no model")

    monkeypatch.setattr(session, "open_policy", load)
    with pytest.raises(RunFailed, match="no model"):
        start(tmp_path)
    assert loading
    assert not any(map(is_running, loading))
