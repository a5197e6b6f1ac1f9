"""Runs forked from one process: each with its own log, exit code and signals, none of which outlives the process."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from prerl_spec.process import forked_commands
from prerl_spec.process.children import module_path
from prerl_spec.process.forked_commands import ForkedCommand, ForkServer

PROGRAM = """
import os, sys, time
from prerl_spec.process import fork_server
import prerl_spec.cli.main as command

def main(words):
    print(words, os.getsid(0) == os.getpid(), sys.stdin.read() == "", flush=True)
    if words[0] == "wait":
        time.sleep(60)
    return int(words[1])

def preload(module):
    time.sleep(0.05)
    open(module, "x").close()

command.main, fork_server.PRELOADED = main, ()
if "PRELOADED" in os.environ:
    fork_server.PRELOADED, fork_server.import_module = (os.environ["PRELOADED"],), preload
raise SystemExit(fork_server.main())
"""
"""The server without what it imports, and with a command that says what it was given."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ForkServer]:
    monkeypatch.setattr(forked_commands, "SERVER", ("-c", PROGRAM))
    started = ForkServer({**os.environ, "PYTHONPATH": module_path()})
    yield started
    started.close()


def begun(server: ForkServer, log: Path, *words: str) -> ForkedCommand:
    pid = server.start(words, log)
    assert pid is not None
    return ForkedCommand(server, pid)


def ended(cell: ForkedCommand) -> int:
    while (code := cell.poll()) is None:
        time.sleep(0.005)
    return code


def wait_for(log: Path) -> None:
    while not log.is_file() or not log.read_text():
        time.sleep(0.005)


def lives(pid: int) -> bool:
    """Not one that nobody has waited for: a container may have no process that does."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_each_run_has_its_exit_code_and_its_log(server: ForkServer, tmp_path: Path) -> None:
    (tmp_path / "b").write_text("earlier\n")
    cells = [begun(server, tmp_path / name, "end", code) for name, code in (("a", "0"), ("b", "5"))]
    assert [ended(cell) for cell in cells] == [0, 5]
    assert (tmp_path / "a").read_text() == "['end', '0'] True True\n"
    assert (tmp_path / "b").read_text() == "earlier\n['end', '5'] True True\n"


def test_a_signal_reaches_one_run_and_the_end_of_the_server_all(server: ForkServer, tmp_path: Path) -> None:
    cells = [begun(server, tmp_path / name, "wait", "0") for name in "abc"]
    for name in "abc":
        wait_for(tmp_path / name)
    cells[0].send_signal(signal.SIGTERM)
    assert ended(cells[0]) == -signal.SIGTERM
    assert [cell.poll() for cell in cells[1:]] == [None, None]
    server._process.kill()
    assert [ended(cell) for cell in cells] == [-signal.SIGTERM, -signal.SIGKILL, -signal.SIGKILL]
    for cell in cells[1:]:
        while lives(cell.pid):
            time.sleep(0.005)
    assert server.start(["end", "0"], tmp_path / "d") is None


def test_an_interrupt_ends_a_run_that_has_only_just_begun(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Also where a script has started all of it in the background, with SIGINT ignored: it would be lost."""
    monkeypatch.setattr(forked_commands, "SERVER", ("-c", PROGRAM))
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        server = ForkServer({**os.environ, "PYTHONPATH": module_path()})
    finally:
        signal.signal(signal.SIGINT, before)
    run = begun(server, tmp_path / "a", "wait", "0")
    run.send_signal(signal.SIGINT)
    deadline = time.monotonic() + 20
    while run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    server.close()
    assert run.poll() == -signal.SIGINT


def test_a_server_that_cannot_begin_starts_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(forked_commands, "SERVER", ("-S", "-c", "import nothing_like_this"))
    server = ForkServer(dict(os.environ))
    server.wait_for_imports()
    assert server.start(["end", "0"], tmp_path / "a") is None
    server.close()


def test_its_imports_can_be_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whether the code has changed while it was imported can be told then, before a run begins with it."""
    monkeypatch.setattr(forked_commands, "SERVER", ("-c", PROGRAM))
    server = ForkServer({**os.environ, "PYTHONPATH": module_path(), "PRELOADED": str(tmp_path / "imported")})
    server.wait_for_imports()
    assert (tmp_path / "imported").exists()
    server.wait_for_imports()
    server.close()
