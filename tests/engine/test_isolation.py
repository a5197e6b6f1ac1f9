"""What a verifier's worker cannot do, at each level of isolation: real workers, real targets."""

import json
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from prerl_spec.autoload import OFF
from prerl_spec.engine.verification import confinement, isolation
from prerl_spec.engine.verification.isolation import Isolation, Promise, isolation_level, promises, why_refused
from prerl_spec.engine.verification.verifier_pool import VerifierPool
from prerl_spec.errors import EnvironmentUnmet
from prerl_spec.types import Outcome, Verdict
from tests.engine.intruding_verifiers import Connected, Intruder

SECRET = "a-canary-that-no-worker-may-see"


def pool_of(level: Isolation, kind: type[Intruder] = Intruder) -> VerifierPool:
    return VerifierPool(kind(), entry_value=f"{kind.__module__}:{kind.__qualname__}", isolation=level)


@contextmanager
def opened(level: Isolation, kind: type[Intruder] = Intruder) -> Iterator[VerifierPool]:
    """A pool of this level; where the machine refuses the level, so must the pool."""
    if (reason := why_refused(level)) is not None:
        with pytest.raises(EnvironmentUnmet, match="cannot be isolated"), pool_of(level, kind):
            pass
        pytest.skip(f"{level} is refused here, by the pool too: {reason}")
    with pool_of(level, kind) as pool:
        yield pool


LEVELS = ["strongest", *(pytest.param(level, marks=pytest.mark.slow) for level in Isolation)]
"""By default the level that this machine gives; each by itself is slow, for the starts of its workers."""


@pytest.fixture(scope="module", params=LEVELS)
def level(request: pytest.FixtureRequest) -> Isolation:
    return isolation_level() if request.param == "strongest" else request.param


@pytest.fixture(scope="module")
def pool(level: Isolation) -> Iterator[VerifierPool]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INTRUDER_TOKEN", SECRET)
        patch.setenv("INTRUDER_MODEL", "declared")
        with opened(level) as pool:
            yield pool


def did(pool: VerifierPool, misdeed: str, target: object = "") -> object:
    """What came of a misdeed that the worker survives."""
    (verdict,) = pool.verify([(misdeed, str(target), False)])
    assert verdict.outcome is Outcome.WRONG, verdict
    return json.loads(verdict.answer)


def running(token: str) -> list[str]:
    """Processes of this machine with `token` in their command line."""
    lines = (file for file in Path("/proc").glob("[0-9]*/cmdline"))
    found = []
    for line in lines:
        try:
            found += [line.parent.name] if token in line.read_text(errors="replace") else []
        except OSError:
            continue
    return found


def test_a_worker_sees_no_variable_that_is_not_needed_or_declared(pool: VerifierPool) -> None:
    names = set(did(pool, "environ"))
    always = {"PATH", "HOME", "TMPDIR", "PYTHONPATH", *OFF}
    threads = {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"}
    optional = {"LANG", "TZ", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "PYTHONHOME", "PYTHONHASHSEED", "CUDA_VISIBLE_DEVICES"}
    assert always | threads | {"INTRUDER_MODEL"} <= names
    assert {n for n in names if not n.startswith("LC_")} <= always | threads | optional | {"INTRUDER_MODEL"}
    assert did(pool, "read", "INTRUDER_TOKEN") is None
    assert did(pool, "read", "INTRUDER_MODEL") == "declared"


def test_a_worker_signals_no_other_process(pool: VerifierPool, level: Isolation) -> None:
    with subprocess.Popen(["sleep", "60"]) as bystander:
        try:
            killed = did(pool, "kill", bystander.pid)
            time.sleep(0.05)
            can_signal = Promise.SIGNALS not in promises(level)
            assert (killed, bystander.poll() is not None) == (can_signal, can_signal)
        finally:
            bystander.kill()
    heard: list[int] = []
    before = signal.signal(signal.SIGURG, lambda number, frame: heard.append(number))
    did(pool, "kill_all")
    signal.signal(signal.SIGURG, before)
    assert heard == [signal.SIGURG] * can_signal


def test_a_worker_writes_to_its_own_folder_alone(pool: VerifierPool, level: Isolation, tmp_path: Path) -> None:
    (tmp_path / "old").write_text("as it was")
    written = did(pool, "write", tmp_path)
    if Promise.FILES in promises(level):
        assert written == []
        assert [(f.name, f.read_text()) for f in tmp_path.iterdir()] == [("old", "as it was")]
        assert did(pool, "mount") is False
    else:
        assert written == ["create", "overwrite", "remove", "folder", "link"]
    token = secrets.token_hex(8)
    assert did(pool, "write_own", token) == ["TMPDIR", "HOME"]
    assert did(pool, "see_own", token) is True


def test_its_own_folder_is_no_larger_than_its_memory(pool: VerifierPool, level: Isolation) -> None:
    assert did(pool, "fill", 2**20) is True
    assert did(pool, "fill", 2**29 + 2**20) is False


def test_a_worker_looks_into_no_other_process(pool: VerifierPool, level: Isolation) -> None:
    with subprocess.Popen(["sleep", "60"], env={}) as bystander:
        try:
            if Promise.MEMORY in promises(level):
                assert did(pool, "peek", bystander.pid) is False
                assert did(pool, "peek", os.getpid()) is False
        finally:
            bystander.kill()
    # What keeps it, and through that its own socket, stays closed at every level.
    assert did(pool, "peek", "parent") is False


def test_a_worker_reaches_no_server(pool: VerifierPool, level: Isolation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        tcp = did(pool, "tcp", server.getsockname()[1])
        udp = did(pool, "udp", other.getsockname()[1])
    assert tcp is (Promise.TCP not in promises(level))
    assert udp is (Promise.NETWORK not in promises(level))


def test_a_reply_to_a_guessed_request_or_made_in_advance_is_an_error_and_no_verdict(pool: VerifierPool) -> None:
    guessed, _, in_advance = pool.verify([("guess", "", False), ("guess_later", "0.1", False), ("nap", "0.3", False)])
    assert guessed == in_advance == Verdict(Outcome.ERROR, None, detail="the worker sent an unexpected message")


def test_a_child_of_the_verifier_has_no_way_to_answer(pool: VerifierPool) -> None:
    assert did(pool, "guess_from_child") is True


def test_killing_what_keeps_it_gains_a_verifier_no_verdict(pool: VerifierPool) -> None:
    verdict, after = pool.verify([("kill_parent", "", False), ("nap", "0", False)])
    assert verdict == Verdict(Outcome.ERROR, None, detail="the worker died of signal 9 (Killed)")
    assert after.outcome is Outcome.WRONG


# The kernel ends a namespace with its first process; at the weakest level it is all our own work.
@pytest.mark.parametrize("ends_at", [Isolation.PROCESS, *LEVELS[1:3]])
def test_a_process_with_a_session_of_its_own_is_dead_when_the_pool_is_closed(ends_at: Isolation) -> None:
    token = f"61.{secrets.randbelow(10**9):09d}"
    with opened(ends_at) as pool:
        assert did(pool, "daemon", token) is True
        assert len(running(token)) == 1
        folders = {Path(worker._folder) for worker in pool._workers._workers}
    assert Promise.ENDS in promises(ends_at)
    assert running(token) == []
    assert not any(folder.exists() for folder in folders)


@pytest.mark.slow
@pytest.mark.parametrize("level", Isolation)
def test_a_verifier_that_declares_the_network_has_it(level: Isolation, tmp_path: Path) -> None:
    with opened(level, Connected) as pool, socket.create_server(("127.0.0.1", 0)) as server:
        assert did(pool, "tcp", server.getsockname()[1]) is True
        assert bool(did(pool, "write", tmp_path)) is (Promise.FILES not in promises(level))


def test_a_worker_that_cannot_be_isolated_as_asked_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "prerl_spec.engine.verification.verify_process._private_folder", lambda: "/proc/prerl-verifier-nowhere"
    )
    with pytest.raises(EnvironmentUnmet, match=r"the worker cannot be isolated: .*No such file"):
        pool_of(isolation_level()).__enter__()


def test_the_level_is_the_strongest_that_can_be_tried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stub = tmp_path / "confinement.py"
    stub.write_text("import sys\nif sys.argv[1] == 'namespaces': raise PermissionError(1, 'unshare: not permitted')\n")
    monkeypatch.setattr(confinement, "__file__", str(stub))
    assert isolation.why_refused.__wrapped__(Isolation.NAMESPACES).endswith("unshare: not permitted")
    assert isolation.why_refused.__wrapped__(Isolation.LANDLOCK) is None
    monkeypatch.setattr(isolation, "why_refused", lambda level: "no" if level is Isolation.NAMESPACES else None)
    assert isolation_level.__wrapped__() is Isolation.LANDLOCK
    monkeypatch.setattr(isolation, "why_refused", lambda level: "no")
    assert isolation_level.__wrapped__() is Isolation.PROCESS
