"""Worker processes start when they are needed, serve equal declarations together, and end with the run."""

import os
from contextlib import ExitStack

from prerl_spec.engine.verification.verifier_pools import VerifierPools
from tests.engine.nasty_verifiers import Nasty
from tests.engine.test_verification import descendants, is_running


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
