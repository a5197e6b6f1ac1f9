"""One run of a study as a process of its own: `prerl-spec run PLAN --run-dir FOLDER`, its output kept in a log.

Several runs of one process each, on Linux without GPUs, are forks of a process that has imported what they import: to
import torch takes each 4 s of CPU, which is most of what a run of a tiny study takes.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Protocol

from prerl_spec.compiler.hardware import detect_hardware
from prerl_spec.compiler.plan import Plan
from prerl_spec.process.children import command_line, die_with_parent, module_path
from prerl_spec.process.code_on_disk import code_on_disk
from prerl_spec.process.forked_commands import ForkedCommand, ForkServer
from prerl_spec.situations import OURS, writing
from prerl_spec.storage.disk import make_folder
from prerl_spec.study.run_plans import PLAN
from prerl_spec.study.study_folder import StudyFolder
from prerl_spec.study.tasks import Task

MOST_LINES = 4
"""Of those below an error line, help apart, in a cause; the rest is in the log."""


class Process(Protocol):
    """What is needed of `subprocess.Popen`."""

    pid: int

    @property
    def returncode(self) -> int | None: ...
    def poll(self) -> int | None: ...
    def send_signal(self, number: int) -> None: ...


class CellProcess:
    """A running process of a study; `Running` of the queue."""

    def __init__(self, process: Process, log: Path, begins_at: int) -> None:
        self._process = process
        self._log = log
        self._begins_at = begins_at

    def exit_code(self) -> int | None:
        return self._process.poll()

    def send(self, number: int) -> None:
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    def cause(self) -> str:
        """What it printed as its error, else its last line; with its exit code and where the rest stands."""
        code = self._process.returncode
        assert code is not None, "its cause is asked for once it has ended"
        return f"{_how(code)}: {self._last_words()} ({self._log})"

    def _last_words(self) -> str:
        try:
            said = self._log.read_bytes()[self._begins_at :].decode("utf-8", errors="replace").split("\n")
        except OSError:  # removed while it ran, say
            return "its log cannot be read"
        errors = [number for number, line in enumerate(said) if line.startswith("error")]
        lines = [line for line in said if line.strip()]
        return _as_one_line(said[errors[-1] :]) if errors else lines[-1].strip() if lines else "nothing was said"


class Starter:
    """`Start` of the queue for `jobs` runs at a time on this machine.

    OMP_NUM_THREADS, where it is not set, divides the cores among the jobs. Where there are several GPUs, a run of one process
    sees the one that the fewest others have. `several`: more than one run will be asked for.
    """

    def __init__(self, jobs: int, local_code: bool, *, several: bool = False) -> None:
        self._local_code = local_code
        self._shares = jobs > 1
        self._placed: list[tuple[str, CellProcess]] = []
        here = detect_hardware()
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        self._gpus = visible.split(",") if visible else [str(number) for number in range(len(here.gpus))]
        self._threads = max(1, here.cores // jobs)
        # CUDA cannot be used in a fork of a process that has looked for GPUs, and libraries look while they are imported.
        self._may_fork = several and sys.platform == "linux" and not self._gpus
        self._server: ForkServer | None = None
        self._code = frozenset[tuple[str, int, int]]()
        """As it was before the server imported it."""

    def __call__(self, folder: StudyFolder, task: Task, plan: Plan) -> CellProcess:
        run, log = folder.run(task.name), folder.log(task.name)
        words = ["run", str(run / PLAN), "--run-dir", str(run), *(["--local-code"] if self._local_code else [])]
        gpu = self._gpu(plan)
        with _opened(log) as said:
            begins_at = said.tell()
            if (
                self._may_fork
                and plan.distributed["processes"] == 1
                and (forked := self._forked(words, log)) is not None
            ):
                return CellProcess(forked, log, begins_at)
            process = subprocess.Popen(
                command_line(words),
                env=self._environment(gpu),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                # A new session: Ctrl-C in a terminal would reach it twice, and the second one ends a run at once.
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        started = CellProcess(process, log, begins_at)
        if gpu is not None:
            self._placed.append((gpu, started))
        return started

    def close(self) -> None:
        """Ends what has been started."""
        if self._server is not None:
            self._server.close()

    def _forked(self, words: list[str], log: Path) -> ForkedCommand | None:
        """None where a run cannot be forked: it is then started by itself, and says what is wrong."""
        if self._server is None:
            self._code = code_on_disk(OURS)
            self._server = ForkServer(self._environment(None))
        self._server.wait_for_imports()
        # A fork would go on with the server's modules, import the rest as it is now, and name the code of now in its manifest.
        # A commit alone changes no code: then the new one names it as well.
        if code_on_disk(OURS) != self._code:
            self._may_fork = False
            return None
        pid = self._server.start(words, log)
        return None if pid is None else ForkedCommand(self._server, pid)

    def _gpu(self, plan: Plan) -> str | None:
        if not self._shares or len(self._gpus) < 2 or plan.distributed["processes"] > 1:
            return None
        taken = [gpu for gpu, started in self._placed if started.exit_code() is None]
        return min(self._gpus, key=taken.count)

    def _environment(self, gpu: str | None) -> dict[str, str]:
        environment = {**os.environ, "PYTHONPATH": module_path()}
        if self._shares:
            environment.setdefault("OMP_NUM_THREADS", str(self._threads))
        if gpu is not None:
            environment["CUDA_VISIBLE_DEVICES"] = gpu
        return environment


def _how(code: int) -> str:
    return f"exit {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"


def _opened(log: Path) -> BinaryIO:
    """For appending. Raises UsageError or EnvironmentUnmet: what is wrong with one log is the failure of one run."""
    with writing(log, "move away what is in its place, or make room on the disk"):
        make_folder(log.parent)
        return log.open("ab")


def _as_one_line(error: Sequence[str]) -> str:
    """An error line and the lines below it up to a blank one, MOST_LINES of them and their help."""
    head, *below = error
    parts, facts = [head.strip()], 0
    for line in below:
        if not line.strip():
            break
        said = _readable(line)
        facts += bool(said) and not said.startswith("help: ")
        if facts > MOST_LINES:
            parts.append("…")
            break
        parts += [said] if said else []
    return "; ".join(parts)


def _readable(line: str) -> str:
    """Of a diagnostic's line: `at FILE:3:7` for ` --> FILE:3:7`, `help: WORDS` for `  = help: WORDS`, the words behind carets,
    nothing for quoted text."""
    if marked := re.match(r"\s*\|\s*[-^]+(.*)", line):
        return marked[1].strip()
    if re.match(r"\s*\d*\s+\|( |$)", line):
        return ""
    return re.sub(r"^(-->|:::) ", "at ", line.strip()).removeprefix("= ")
