"""Runs of a study in forked children of a process that has imported everything, and the whole queue in one of them."""

import fcntl
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from prerl_spec.compiler.build_graph import build_graph
from prerl_spec.compiler.past_runs.run_folder import choose_run_folder, hold_run_folder
from prerl_spec.compiler.plan import Plan
from prerl_spec.engine.record.events import Silence
from prerl_spec.engine.run.run import run
from prerl_spec.engine.torture.outcome import outcome_of
from prerl_spec.study.running.cell_queue import CellQueue
from prerl_spec.study.study_folder import StudyFolder, begin_study, hold_study
from prerl_spec.study.study_plan import StudyPlan
from prerl_spec.study.tasks import Task, tasks_of
from tests.forks import forked
from tests.study.quiet import Quiet


@dataclass
class Forked:
    """`Running` of a forked child."""

    pid: int
    log: Path
    code: int | None = None

    def exit_code(self) -> int | None:
        if self.code is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if ended else None
        return self.code

    def send(self, number: int) -> None:
        if self.code is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def cause(self) -> str:
        return self.log.read_text(encoding="utf-8") if self.log.is_file() else ""


def start_forked(folder: StudyFolder, task: Task, plan: Plan) -> Forked:
    """`Start` of the queue: what `prerl-spec run PLAN --run-dir FOLDER` does, without the imports."""
    log = folder.log(task.name)
    log.parent.mkdir(parents=True, exist_ok=True)
    return Forked(forked(lambda: run_plan(plan, folder.run(task.name)), log), log)


def run_plan(plan: Plan, place: Path) -> None:
    """A run of its own, in this process."""
    graph = build_graph(plan, plan.spec_text)
    folder, _ = choose_run_folder(place.parent, plan.name, plan.digest, run_dir=place)
    with hold_run_folder(folder):
        run(graph, folder, Silence())


def queue_forked(study: StudyPlan, place: Path, *, kill_after: float | None = None, jobs: int = 1) -> int:
    """The whole queue in a child and its children, which all get SIGKILL after some seconds; returns its exit code."""

    def work() -> None:
        os.setsid()
        folder, _ = begin_study(study, place, {})
        with hold_study(folder, alone=True):
            found = CellQueue(study, folder, tasks_of(study), start_forked, Quiet(), jobs).run()
        if found.failed:
            raise AssertionError(found.failed)

    log = place.parent / f"{place.name}.log"
    begun = time.monotonic()
    child = Forked(forked(work, log), log)
    while child.exit_code() is None:
        if kill_after is not None and time.monotonic() - begun > kill_after:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
        time.sleep(0.005)
    assert child.code is not None
    _wait_for_locks(place)
    return child.code


def _wait_for_locks(place: Path) -> None:
    """Verifiers' processes, forked as well, hold the locks until they have seen that their pipes are closed."""
    for lock in place.rglob("*.lock"):
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX)


def outcomes(study: StudyPlan, place: Path) -> dict[str, str | None]:
    """What every run of the study came to: weights, moments, steps, scores, as one hash each."""
    folder = StudyFolder(place)
    return {task.name: outcome_of(folder.run(task.name)) for task in tasks_of(study)}
