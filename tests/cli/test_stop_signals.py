"""A stop signal at any moment of a real command ends it with words and exit code 75, from its first line on."""

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from prerl_spec.cli.main import main
from prerl_spec.engine.processes.signals import Signals
from prerl_spec.errors import Interrupted
from prerl_spec.process import stop_signals
from prerl_spec.process.stop_signals import STOPPING, Stopped, ended_by_signals, on_stop
from tests.engine.runs import SPEC
from tests.run_files import write_events

RUN = [sys.executable, "-m", "prerl_spec", "run", "spec.toml"]


def caught(pid: int) -> set[int]:
    """The signals that a process has handlers for."""
    status = Path(f"/proc/{pid}/status").read_text()
    mask = int(next(x for x in status.splitlines() if x.startswith("SigCgt")).split()[1], 16)
    return {n for n in range(1, 64) if mask >> (n - 1) & 1}


def begun(command: Sequence[str], folder: Path, **options: object) -> "subprocess.Popen[str]":
    """A command from the moment on at which it handles SIGTERM."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True, **options)  # type: ignore[call-overload]
    deadline = time.monotonic() + 30
    while signal.SIGTERM not in caught(process.pid) and time.monotonic() < deadline:
        time.sleep(0.005)
    return process


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """A signal that one test has sent must not interrupt what the next one runs in this process."""
    yield
    stop_signals._arrived.clear()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_signal_before_anything_heavy_is_loaded_ends_with_words(tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_text(SPEC)
    process = begun(RUN, tmp_path)
    assert set(STOPPING) <= caught(process.pid)
    assert "libtorch" not in Path(f"/proc/{process.pid}/maps").read_text()
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 75
    assert said == "error: interrupted by SIGTERM\n  = help: re-run the same command to resume\n"
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", STOPPING)
@pytest.mark.parametrize("seconds", [0.3, 1.0, 3.0, 6.0])
def test_a_signal_during_start_up_ends_with_words(tmp_path: Path, number: int, seconds: float) -> None:
    long = SPEC.replace('"reincarnate_after", steps = 3', '"reincarnate_after", steps = 3000')
    for more in ([], ["--processes", "2"]):
        (tmp_path / "spec.toml").write_text(long)
        process = begun([*RUN, *more], tmp_path)
        time.sleep(seconds)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 75, said
        assert "error: interrupted" in said
        assert "re-run the same command to resume" in said
        assert "Traceback" not in said


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_signals_that_the_process_was_started_to_ignore_stay_ignored(tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_text(SPEC)
    process = begun(RUN, tmp_path, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    assert signal.SIGHUP not in caught(process.pid), "as under nohup"
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert said.startswith("error: interrupted by SIGTERM")


def test_an_exception_that_was_lost_does_not_lose_the_signal() -> None:
    """An exception in a destructor, or in a callback of the interpreter, is only printed."""
    with ended_by_signals():
        with suppress(Stopped):
            os.kill(os.getpid(), signal.SIGUSR1)
            time.sleep(5)
        assert stop_signals.arrived() == signal.SIGUSR1
        with Signals() as signals:
            assert signals.raised
    assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL


def test_a_signal_is_noticed_while_the_main_thread_is_busy_elsewhere() -> None:
    """A thread hears of it while the main thread has blocked the signal, as a call into a library does."""
    heard: list[int] = []
    handled: list[int] = []
    with on_stop(lambda number, frame: handled.append(number), heard.append):
        os.kill(os.getpid(), signal.SIGUSR1)
        deadline = time.monotonic() + 5
        while not heard and time.monotonic() < deadline:
            time.sleep(0.001)
    assert heard == handled == [signal.SIGUSR1]


def test_a_signal_after_the_end_of_a_run_does_not_count_as_an_interrupt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A scheduler would run the command again, which would begin another run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spec.toml").write_text(SPEC)
    folder = tmp_path / "runs" / "small"

    def finished(graph: object, claimed: Path, listener: object) -> Path:
        write_events(folder / "events.jsonl", [{"event": "end"}])
        return folder

    def signalled(folders: object, out: object) -> Path:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
        raise AssertionError("the signal was lost")

    monkeypatch.setattr("prerl_spec.engine.run.run.run", finished)
    monkeypatch.setattr("prerl_spec.cli.runs.run.write_report", signalled)
    assert main(["run", "spec.toml"]) == 0
    assert "interrupted after the end of the run; its report: prerl-spec report runs/small" in capsys.readouterr().err


def test_a_command_that_has_ended_does_not_end_the_process_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program may call `main` again: no timer of the first call may strike the second."""
    monkeypatch.setattr(stop_signals, "SECONDS_TO_END", 0.2)
    ended: list[object] = []
    monkeypatch.setattr(stop_signals, "end_process", lambda error: ended.append(error))
    for _ in range(2):
        with suppress(Stopped), ended_by_signals():
            os.kill(os.getpid(), signal.SIGUSR1)
            time.sleep(5)
    with ended_by_signals():
        time.sleep(0.5)
    assert ended == []


def test_a_library_that_turns_an_interrupt_into_an_error_of_its_own_is_no_bug_of_ours(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def half_imported(arguments: object) -> int:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        except BaseException:
            raise ImportError("cannot import name `x` from a partially initialized module") from None
        return 0

    monkeypatch.setattr("prerl_spec.cli.specs.explain.run", half_imported)
    assert main(["explain", "E0301"]) == Interrupted.exit_code
    over = "the same command starts from the beginning"
    assert capsys.readouterr().err == f"error: interrupted\n  = help: {over}\n"


@pytest.mark.slow
def test_a_run_whose_terminal_is_closed_commits_its_step(tmp_path: Path) -> None:
    long = SPEC.replace('"reincarnate_after", steps = 3', '"reincarnate_after", steps = 3000')
    (tmp_path / "spec.toml").write_text(long.replace("every = 2", "every = 1000"))
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execvpe(RUN[0], RUN, {**os.environ, "OMP_NUM_THREADS": "1"})
    events = tmp_path / "runs" / "small" / "events.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and (not events.exists() or events.read_text().count('"step"') < 20):
        os.set_blocking(terminal, False)
        with suppress(BlockingIOError):
            os.read(terminal, 65536)
        time.sleep(0.05)
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 75
    last = max(int(f.name[5:]) for f in (tmp_path / "runs" / "small" / "checkpoints").glob("step-*"))
    assert last >= 10, "the step in progress was committed"


@pytest.mark.slow
def test_a_second_signal_ends_a_process_that_cannot_be_reached(tmp_path: Path) -> None:
    """Its main thread is inside a call that never comes back to Python, as in a collective call with a stopped process."""
    script = tmp_path / "stuck.py"
    script.write_text(
        "import ctypes, sys\n"
        "from prerl_spec.engine.processes.signals import Signals\n"
        "with Signals():\n"
        "    print('ready', flush=True)\n"
        "    while True:\n"
        "        ctypes.CDLL(None).pthread_mutex_lock(ctypes.byref(lock := ctypes.create_string_buffer(64))) or "
        "ctypes.CDLL(None).pthread_mutex_lock(ctypes.byref(lock))\n"
    )
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    for _ in range(2):
        time.sleep(1.2)
        process.send_signal(signal.SIGTERM)
    begin = time.monotonic()
    _, said = process.communicate(timeout=30)
    assert process.returncode == 75
    assert 5 < time.monotonic() - begin < 10
    assert said.startswith("error: interrupted twice: the run is at its last checkpoint\n")


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        ("run", "re-run the same command to resume"),
        ("study", "re-run the same command to resume"),
        ("try", "the same command starts from the beginning"),
        ("plan", "the same command starts from the beginning"),
    ],
)
def test_an_interrupt_promises_to_go_on_only_where_the_command_does(
    command: str, hint: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def dispatched(arguments: object, given: object) -> int:
        with Signals() as signals:
            os.kill(os.getpid(), signal.SIGINT)
            while not signals.raised:
                time.sleep(0.001)
            raise Interrupted("interrupted", hint=stop_signals.after_a_stop())

    monkeypatch.setattr("prerl_spec.cli.main._dispatch", dispatched)
    assert main([command, "any.toml"]) == Interrupted.exit_code
    assert capsys.readouterr().err == f"error: interrupted\n  = help: {hint}\n"
    assert stop_signals.after_a_stop() == stop_signals.RESUME, "a program that calls main is left as it was"


def test_a_second_interrupt_speaks_of_a_checkpoint_only_where_there_is_one() -> None:
    assert stop_signals.stopped_twice() == "interrupted twice: the run is at its last checkpoint"
    with stop_signals.resuming(False):
        assert stop_signals.stopped_twice() == "interrupted twice"
