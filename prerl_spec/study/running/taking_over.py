"""Runs that an earlier study has finished and that are runs of this one too: copied, and not computed again."""

import shutil
from pathlib import Path
from typing import Protocol

from prerl_spec.compiler.compile import read_plan
from prerl_spec.compiler.past_runs.run_folder import LOCK, has_begun, hold_run_folder, is_live
from prerl_spec.compiler.plan import Plan
from prerl_spec.errors import Damaged, UsageError
from prerl_spec.situations import writing
from prerl_spec.storage.disk import rename, sync, sync_folder
from prerl_spec.study.run_plans import PLAN
from prerl_spec.study.study_folder import StudyFolder, digest_of_study
from prerl_spec.study.tasks import Task

_WITHOUT = "leave --take-from out, and it is computed"


class Source(Protocol):
    """Where finished runs may be taken from."""

    def offered(self, folder: StudyFolder, task: Task, plan: Plan) -> Path | None:
        """A finished run of this plan; None where there is none, or the task's own run has begun."""

    def take(self, source: Path, run: Path) -> None:
        """Copies what was offered into the folder of the task's run."""


class Nowhere:
    """Every run is computed."""

    def offered(self, folder: StudyFolder, task: Task, plan: Plan) -> Path | None:
        return None

    def take(self, source: Path, run: Path) -> None:
        raise AssertionError("nothing was offered")


class Earlier:
    """An earlier study, whose runs are taken where they have the same place and the same plan.

    A plan's digest holds settings, seed, budget and the content of what a run starts from. What is copied keeps its seconds,
    which are those of another time. Raises UsageError for a folder that is no study, or this one; Damaged.
    """

    def __init__(self, root: Path, own: Path) -> None:
        if digest_of_study(root) is None:
            raise UsageError(f"--take-from {root} is no study's folder", hint="name a folder that `study` has written")
        if root.resolve() == own.resolve():
            raise UsageError(f"--take-from {root} is the folder of this study", hint="leave it out")
        self._earlier = StudyFolder(root.absolute())

    def offered(self, folder: StudyFolder, task: Task, plan: Plan) -> Path | None:
        source = self._earlier.run(task.name)
        if has_begun(folder.run(task.name)) or not self._earlier.is_finished(task.name) or is_live(source):
            return None
        return source if read_plan(source / PLAN).digest == plan.digest else None

    def take(self, source: Path, run: Path) -> None:
        """Every byte that is read again is checked before the copy takes the place of a run that has not begun: a kill leaves
        the copy, or nothing. Raises Damaged, naming the file; UsageError for a run that another command has begun."""
        copy = run.with_name(f".{run.name}.taken")
        with hold_run_folder(run), writing(run, _WITHOUT):
            if has_begun(run):
                raise UsageError(f"the run in {run} has begun", hint="re-run the same command: it goes on with it")
            shutil.rmtree(copy, ignore_errors=True)
            try:
                _copy(source, copy)
                _require_sound(copy, source)
                shutil.rmtree(run)
                rename(copy, run)
                sync_folder(run.parent)
            finally:
                shutil.rmtree(copy, ignore_errors=True)


def _copy(source: Path, copy: Path) -> None:
    """Files and folders but for the lock, each durable."""
    copy.mkdir()
    for path in sorted(source.rglob("*")):
        if path.name == LOCK:
            continue
        place = copy / path.relative_to(source)
        if path.is_dir():
            place.mkdir()
        else:
            shutil.copy2(path, place)
            sync(place)
    for folder in (copy, *(path for path in copy.rglob("*") if path.is_dir())):
        sync_folder(folder)


def _require_sound(copy: Path, source: Path) -> None:
    from prerl_spec.engine.inspect.fsck import check_run  # takes the seconds that torch takes to load

    for found in check_run(copy):
        if found.state != "ok":
            raise Damaged(
                f"{source / found.path} cannot be taken over: {found.detail.replace(str(copy), str(source))}",
                file=source / found.path,
                hint=f"{_WITHOUT}; `prerl-spec fsck` says what can be done",
            )
