"""Runs that an earlier study has finished and that are runs of this one too: copied, and not computed again."""

import shutil
from pathlib import Path

from prerl_spec.compiler.compile import read_plan
from prerl_spec.compiler.past_runs.run_folder import LOCK, is_live
from prerl_spec.compiler.plan import Plan
from prerl_spec.errors import Damaged, UsageError
from prerl_spec.situations import writing
from prerl_spec.storage.disk import rename, sync, sync_folder
from prerl_spec.study.run_plans import PLAN
from prerl_spec.study.study_folder import StudyFolder, digest_of_study
from prerl_spec.study.tasks import Task


class Earlier:
    """`Take` of the queue: an earlier study whose runs are taken over where they have the same place and the same plan.

    A plan's digest holds settings, seed, budget and the content of what a run starts from. What is copied keeps its seconds,
    which are those of another time. Raises UsageError for a folder that is no study, or this one; Damaged.
    """

    def __init__(self, root: Path, own: Path) -> None:
        if digest_of_study(root) is None:
            raise UsageError(f"--take-from {root} is no study's folder", hint="name a folder that `study` has written")
        if root.resolve() == own.resolve():
            raise UsageError(f"--take-from {root} is the folder of this study", hint="leave it out")
        self._earlier = StudyFolder(root)

    def __call__(self, folder: StudyFolder, task: Task, plan: Plan) -> Path | None:
        """The run that was copied, None where none is of this plan. Every byte that is read again is checked before the copy
        takes the run's place, so that a kill leaves either. Raises Damaged, naming the file."""
        source, run = self._earlier.run(task.name), folder.run(task.name)
        if (
            not self._earlier.is_finished(task.name)
            or is_live(source)
            or read_plan(source / PLAN).digest != plan.digest
        ):
            return None
        copy = run.with_name(f".{run.name}.taken")
        with writing(run, "free disk space, or leave --take-from out"):
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(source, copy, ignore=shutil.ignore_patterns(LOCK))
            _require_sound(copy, source)
            for path in sorted(copy.rglob("*"), reverse=True):
                (sync_folder if path.is_dir() else sync)(path)
            sync_folder(copy)
            shutil.rmtree(run)
            rename(copy, run)
        return source


def _require_sound(copy: Path, source: Path) -> None:
    from prerl_spec.engine.inspect.fsck import check_run  # takes the seconds that torch takes to load

    for found in check_run(copy):
        if found.state != "ok":
            shutil.rmtree(copy)
            raise Damaged(
                f"{source / found.path} cannot be taken over: {found.detail}",
                file=source / found.path,
                hint="leave --take-from out; `prerl-spec fsck` says what can be done",
            )
