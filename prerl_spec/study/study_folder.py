"""The folder of a study: how it is chosen and locked, what study.json says, where each run lies."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prerl_spec.compiler.past_runs.run_folder import is_finished, numbered, one_at_a_time, takes_lock
from prerl_spec.errors import Damaged, UsageError
from prerl_spec.situations import writing
from prerl_spec.storage.disk import make_folder, write_whole
from prerl_spec.storage.sealed import read_object, write_object
from prerl_spec.storage.study_files import SHARED, STUDY
from prerl_spec.study.changed_meaning import changed_meaning
from prerl_spec.study.study_plan import StudyPlan

LOCK = "study.lock"
FORMAT = 1
_FREE = "name a folder that is absent or empty, or leave --study-dir out"


class StudyFolder:
    """Where the parts of a study lie below its folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def state(self) -> Path:
        return self.root / "state.jsonl"

    def run(self, task: str) -> Path:
        """The run folder of a cell, `cells/dsrl/seed-3` for `dsrl/3`, or of a shared run, `shared/0a1b2c3d4e5f`."""
        arm, _, seed = task.rpartition("/")
        return self.root / SHARED / seed if arm == SHARED else self.root / "cells" / arm / f"seed-{seed}"

    def log(self, task: str) -> Path:
        """What the processes of the run have said."""
        return self.root / "logs" / f"{task}.log"

    def is_finished(self, task: str) -> bool:
        return is_finished(self.run(task))


def study_json(plan: StudyPlan, detectable: Mapping[str, Any]) -> dict[str, Any]:
    """What study.json says: arms and seeds with their folders, what they are compared at and paired on."""
    return {
        "format": FORMAT,
        "name": plan.name,
        "digest": plan.digest,
        "spec_file": str(plan.spec_file),
        "arms": list(plan.arms),
        "seeds": list(plan.seeds),
        "match": plan.match,
        "budget": plan.budget,
        "is_cut": plan.is_cut,
        "primary": plan.primary,
        "base": plan.base(),
        "unpaired": list(plan.unpaired),
        "streams": "phase",
        "detectable": dict(detectable),
        "cells": [
            {
                "arm": cell.arm,
                "seed": cell.seed,
                "folder": f"cells/{cell.arm}/seed-{cell.seed}",
                "digest": cell.plan.digest,
                "continues": [shared.key for shared in cell.continues],
            }
            for cell in plan.cells
        ],
        "shared": [
            {"folder": f"{SHARED}/{s.key}", "seed": s.plan.seed, "phases": [p.id for p in s.plan.phases]}
            for s in plan.shared
        ],
    }


def choose_study_folder(plan: StudyPlan, given: Path | None, *, new: bool = False) -> tuple[StudyFolder, bool]:
    """The folder of this study, and whether it is there; nothing is written.

    Without `given`: of `output_dir/NAME-study`, `NAME-study-2` … the highest-numbered unfinished one of this digest, else the
    highest-numbered finished one; where there is none, or with `new`, the lowest free name. Raises UsageError if `given` holds
    anything else, or anything at all with `new`; Damaged.
    """
    if given is not None:
        if given.exists() and not given.is_dir():
            raise UsageError(f"--study-dir {given} is a file", hint=_FREE)
        begun = f".{STUDY}."  # of a study.json that a kill left half written
        if not given.exists() or all(p.name == LOCK or p.name.startswith(begun) for p in given.iterdir()):
            return StudyFolder(given), False
        if new:
            raise UsageError(f"--new: {given} is not empty", hint=_FREE)
        found = digest_of_study(given)
        if found != plan.digest:
            if found is None:
                raise UsageError(f"{given} is not empty and holds no study", hint=_FREE)
            changed = changed_meaning(given, read_study(given), plan) or f"{found[:12]}, this one is {plan.digest[:12]}"
            take = f"; `--take-from {given}` then copies the runs that are the same"
            raise UsageError(f"{given} holds a study of another spec: {changed}", hint=f"{_FREE}{take}")
        return StudyFolder(given), True
    there = numbered(plan.output_dir, f"{plan.name}-study")
    newest = [folder for _, folder in sorted(there.items(), reverse=True)]
    own = [] if new else [StudyFolder(folder) for folder in newest if digest_of_study(folder) == plan.digest]
    own.sort(key=lambda folder: is_complete(folder, plan))  # stable: unfinished ones first, the newest of them foremost
    if own:
        return own[0], True
    number = next(n for n in range(1, len(there) + 2) if n not in there)
    return StudyFolder(plan.output_dir / f"{plan.name}-study{'' if number == 1 else f'-{number}'}"), False


def earlier_others(plan: StudyPlan) -> Iterator[tuple[Path, str]]:
    """The newest folder of this name that holds another study, and in what that differs. Raises Damaged."""
    there = numbered(plan.output_dir, f"{plan.name}-study")
    for _, folder in sorted(there.items(), reverse=True):
        if digest_of_study(folder) not in (None, plan.digest):
            yield folder, changed_meaning(folder, read_study(folder), plan)
            return


def is_complete(folder: StudyFolder, plan: StudyPlan) -> bool:
    """Whether every cell is finished."""
    return all(folder.is_finished(cell.name) for cell in plan.cells)


def digest_of_study(folder: Path) -> str | None:
    """The digest of the study in the folder, None if it holds none. Raises Damaged."""
    try:
        digest = read_study(folder).get("digest")
    except (FileNotFoundError, NotADirectoryError):
        if (folder / "state.jsonl").is_file():
            raise Damaged(f"{folder / STUDY} is missing, and the study has begun", file=folder / STUDY) from None
        return None
    return digest if isinstance(digest, str) else None


def read_study(folder: Path) -> dict[str, Any]:
    """What study.json says. Raises OSError, Damaged."""
    return read_object(folder / STUDY)


def begin_study(
    plan: StudyPlan, given: Path | None, detectable: Mapping[str, Any], *, new: bool = False
) -> tuple[StudyFolder, bool]:
    """The folder of `choose_study_folder`, with study.json and spec.toml written, and whether it was there before.

    A folder without study.json is none of ours, so that study.json comes first; what a kill left out is written now.
    """
    place = plan.output_dir if given is None else given.parent
    with one_at_a_time(place):
        folder, there = choose_study_folder(plan, given, new=new)
        given_spec = folder.root / "spec.toml"
        with writing(folder.root, "set run.output_dir, or --study-dir, to a folder that can be written"):
            if not there:
                make_folder(folder.root)
                write_object(folder.root / STUDY, study_json(plan, detectable))
            if not given_spec.is_file():
                write_whole(given_spec, plan.spec_text)
    return folder, there


@contextmanager
def hold_study(folder: StudyFolder, *, alone: bool) -> Iterator[None]:
    """Holds the study's lock: `alone` for the command that runs the queue; single cells, each on a machine of its own,
    share it. The kernel releases it when the process ends. Raises UsageError if it is held against this one.
    """
    descriptor = os.open(folder.root / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not takes_lock(descriptor, folder.root, shared=not alone):
            raise UsageError(
                f"the study in {folder.root} is live: another process holds {LOCK}",
                hint="wait for it; `--jobs N` runs several cells at a time in one command",
            )
        yield
    finally:
        os.close(descriptor)
