"""Runs a graph in a forked child of a process that has already imported everything: a tiny run takes a second."""

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from prerl_spec.compiler.graph import Graph
from prerl_spec.compiler.past_runs.run_folder import choose_run_folder, hold_run_folder
from prerl_spec.engine.record.events import Silence
from prerl_spec.engine.record.run_inputs import write_given
from prerl_spec.engine.run.run import run
from prerl_spec.errors import PrerlError
from prerl_spec.storage.disk import Operation, observed

_LOG = "torture.log"


@dataclass(frozen=True)
class Ended:
    """How a child ended: its exit code (negative: the signal that ended it), seconds, and what it said last."""

    code: int
    seconds: float
    said: str


def run_forked(
    graph: Graph,
    output_dir: Path,
    *,
    observer: Callable[[Operation], None] | None = None,
    kill_after: float | None = None,
    at_end: Callable[[], None] = lambda: None,
) -> Ended:
    """Runs or resumes the graph in `output_dir` as `prerl-spec run` does, in a child process.

    `observer` sees the child's storage operations and `at_end` runs in the child after the run; after `kill_after` seconds
    the child gets SIGKILL.
    """
    output_dir.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        _in_child(graph, output_dir, observer, at_end)
    code = _wait(child, None if kill_after is None else begin + kill_after)
    # The verifiers' processes end with their pipes; whatever has not is in the child's session.
    _kill_session(child)
    log = output_dir / _LOG
    said = log.read_text(encoding="utf-8", errors="replace").strip() if log.is_file() else ""
    return Ended(code, time.monotonic() - begin, said)


def _in_child(
    graph: Graph, output_dir: Path, observer: Callable[[Operation], None] | None, at_end: Callable[[], None]
) -> None:
    """Never returns."""
    code = 70
    try:
        os.setsid()
        log = os.open(output_dir / _LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        with ExitStack() as stack:
            if observer is not None:
                stack.enter_context(observed(observer))
            folder, _ = choose_run_folder(output_dir, graph.run.name, graph.digest)
            stack.enter_context(hold_run_folder(folder))
            write_given(folder, graph)
            run(graph, folder, Silence())
        at_end()
        code = 0
    except PrerlError as error:
        print(f"{type(error).__name__}: {error.message}", flush=True)
        code = error.exit_code
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _wait(child: int, deadline: float | None) -> int:
    if deadline is not None:
        while time.monotonic() < deadline:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.002)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _kill_session(leader: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)
