"""Checks every byte of a study's folder that is read again: what the study itself has written, then each of its runs."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from prerl_spec.compiler.past_runs.run_folder import has_begun
from prerl_spec.engine.inspect.findings import Finding
from prerl_spec.engine.inspect.fsck import check_run
from prerl_spec.errors import Damaged
from prerl_spec.storage.chained_lines import cut_torn_line, read_lines
from prerl_spec.storage.study_files import STUDY
from prerl_spec.study.study_folder import StudyFolder, read_study


def check_study(root: Path) -> list[Finding]:
    """One finding for each file; nothing is changed."""
    of_runs = (
        replace(finding, path=f"{run.relative_to(root).as_posix()}/{finding.path}")
        for run in runs_of(root)
        for finding in check_run(run)
    )
    return [_study(root), _state(StudyFolder(root)), *of_runs]


def is_study(root: Path) -> bool:
    """Whether a folder is a study's, also where its study.json is lost."""
    return (root / STUDY).is_file() or StudyFolder(root).state.is_file()


def runs_of(root: Path) -> Iterator[Path]:
    """The run folders of a study; none of a folder that is no study."""
    for folder in sorted([*root.glob("cells/*/seed-*"), *root.glob("shared/*")]):
        if (folder / "plan.json").is_file() or has_begun(folder):
            yield folder


def _study(root: Path) -> Finding:
    remedy = "restore it from a copy, or move the folder away and begin the study anew: its runs can still be compared by name"
    try:
        read_study(root)
    except (Damaged, FileNotFoundError) as error:
        detail = error.message if isinstance(error, Damaged) else "missing"
        return Finding(STUDY, "damaged", detail, remedy)
    return Finding(STUDY, "ok")


def _state(folder: StudyFolder) -> Finding:
    file = folder.state
    try:
        found = read_lines(file)
    except Damaged as error:
        remedy = "restore it from a copy, or remove it: no result rests on it, and the study goes on with a new one"
        return Finding(file.name, "damaged", error.message, remedy)
    if found.torn:
        return Finding(
            file.name,
            "torn",
            "its last line is incomplete: the study was killed while it was written",
            "the incomplete line is cut off, as the next start does",
            repair=lambda: cut_torn_line(file, found),
        )
    return Finding(file.name, "ok")
