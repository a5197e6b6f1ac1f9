"""One run of a study as a process of its own: `prerl-spec run PLAN --run-dir FOLDER`, its output kept in a log."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from prerl_spec.compiler.hardware import detect_hardware
from prerl_spec.compiler.plan import Plan
from prerl_spec.process.children import command_line, die_with_parent, module_path
from prerl_spec.storage.disk import make_folder
from prerl_spec.study.run_plans import PLAN
from prerl_spec.study.study_folder import StudyFolder
from prerl_spec.study.tasks import Task


class CellProcess:
    """A running process of a study; `Running` of the queue."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path, begins_at: int) -> None:
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
        said = self._log.read_bytes()[self._begins_at :].decode("utf-8", errors="replace").split("\n")
        errors = [line for line in said if line.startswith("error")]
        lines = [line for line in said if line.strip()]
        last = errors[-1] if errors else lines[-1] if lines else "nothing was said"
        return f"{_how(self._process.returncode)}: {last.strip()} ({self._log})"


class Starter:
    """`Start` of the queue. OMP_NUM_THREADS, where it is not set, divides the cores among the jobs."""

    def __init__(self, jobs: int, local_code: bool) -> None:
        self._jobs = jobs
        self._local_code = local_code

    def __call__(self, folder: StudyFolder, task: Task, plan: Plan) -> CellProcess:
        run, log = folder.run(task.name), folder.log(task.name)
        make_folder(log.parent)
        words = ["run", str(run / PLAN), "--run-dir", str(run), *(["--local-code"] if self._local_code else [])]
        environment = {**os.environ, "PYTHONPATH": module_path()}
        if self._jobs > 1:
            environment.setdefault("OMP_NUM_THREADS", str(max(1, detect_hardware().cores // self._jobs)))
        begins_at = log.stat().st_size if log.is_file() else 0
        with log.open("ab") as said:
            process = subprocess.Popen(
                command_line(words),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                # A new session: Ctrl-C in a terminal would reach it twice, and the second one ends a run at once.
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        return CellProcess(process, log, begins_at)


def _how(code: int) -> str:
    return f"exit {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
