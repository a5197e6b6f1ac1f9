"""What the folders on a command line are: a study, runs, or models that `eval` has scored; anything else is refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from prerl_spec.comparison.arms import Absent, Arm, differ_in_nothing, distinct, grouped
from prerl_spec.comparison.opening import is_run, is_scored_model, open_run, open_scored_model
from prerl_spec.comparison.scored_run import ScoredRun
from prerl_spec.comparison.study_folder import is_study, open_study
from prerl_spec.compiler.compare.seeds import PLAN, without_seeds
from prerl_spec.compiler.compile import read_plan
from prerl_spec.errors import UsageError
from prerl_spec.evaluation.model_folders import models_in
from prerl_spec.storage.study_files import DEPTH_IN_STUDY

KINDS = "name runs, a study's folder, or folders that `eval` has written"
FEW = 4
"""Folders that a message names, where there may be many."""


@dataclass(frozen=True)
class Sides:
    """The arms to compare, in the order given, and what is missing of them.

    Of a study: `primary` is "task/metric", `base` what it pairs on, `notes` what else it says of itself.
    """

    title: str
    arms: Sequence[Arm]
    absent: Sequence[Absent] = ()
    primary: str | None = None
    notes: Sequence[str] = ()
    base: str = ""


def open_sides(folders: Sequence[Path]) -> Sides:
    """Reads the folders; that of an evaluation of several models stands for all of them. Raises UsageError for one that is
    nothing of these, that is named twice, or that cannot be compared with the others; Damaged."""
    folders = [each for folder in folders for each in models_in(folder) or [folder]]
    _require_once(folders)
    studies = [folder for folder in folders if is_study(folder)]
    if studies:
        if len(folders) > 1:
            raise UsageError(f"{studies[0]} is a study's folder, and is compared alone", hint=KINDS)
        study = open_study(studies[0])
        return Sides(f"study {study.name}", study.arms, study.absent, study.primary, study.notes, study.base)
    runs = [folder for folder in folders if is_run(folder)]
    models = [folder for folder in folders if is_scored_model(folder)]
    for folder in folders:
        if folder not in runs and folder not in models:
            raise UsageError(f"{folder} {_what_is_wrong(folder)}", hint=KINDS)
    if runs and models:
        raise UsageError(
            f"{runs[0]} is a run, and {models[0]} was written by `eval`: a run is compared with runs",
            hint=f"name what `eval` has written for the run, as {runs[0] / 'eval'}",
        )
    return _of_runs(runs) if runs else _of_models(models)


def _of_runs(folders: Sequence[Path]) -> Sides:
    found: list[tuple[str, ScoredRun]] = []
    absent = []
    for folder in folders:
        plan = read_plan(folder / PLAN)
        opened = open_run(folder, plan)
        if isinstance(opened, str):
            absent.append(Absent(str(folder), opened))
        else:
            found.append((without_seeds(folder, plan), opened))
    arms = grouped(found)
    if len(arms) < 2 and absent:
        words = "; ".join(f"{one.what}: {one.why}" for one in absent)
        raise UsageError(
            f"fewer than two arms can be compared: {words}", hint="finish the runs with `prerl-spec resume`"
        )
    return Sides(_title([arm.name for arm in arms]), arms, absent, notes=_of_studies(folders))


def _of_studies(folders: Sequence[Path]) -> list[str]:
    """A note where runs are cells of a study: what it says of them all is not looked at."""
    above = dict.fromkeys(
        place for folder in folders for place in folder.resolve().parents[:DEPTH_IN_STUDY] if is_study(place)
    )
    return [
        f"cells of the study {place}, named one by one: its primary, its other cells, and what it says of them are left out"
        for place in above
    ]


def _of_models(folders: Sequence[Path]) -> Sides:
    models = [open_scored_model(folder) for folder in folders]
    names = [model.name for model in models]
    if len(set(names)) < len(names):
        names = distinct(folders)
    return Sides(_title(names), [Arm(name, (model,)) for name, model in zip(names, models, strict=True)])


def _title(names: Sequence[str]) -> str:
    more = f" and {len(names) - FEW} more" if len(names) > FEW else ""
    return " · ".join(names[:FEW]) + more


def _require_once(folders: Sequence[Path]) -> None:
    known: dict[Path, Path] = {}
    for folder in folders:
        place = folder.resolve()
        if place in known:
            raise differ_in_nothing(known[place], folder)
        known[place] = folder


def _what_is_wrong(folder: Path) -> str:
    if not folder.exists():
        return "does not exist"
    if not folder.is_dir():
        return "is a file"
    if not any(folder.iterdir()):
        return "is empty"
    words = "is neither a run, nor a study's folder, nor one that `eval` has written"
    for above in folder.resolve().parents[:DEPTH_IN_STUDY]:
        if is_study(above):
            return f"{words}; it lies in the study's folder {above}"
    below = [found for found in sorted(folder.iterdir()) if found.is_dir() and _is_any_kind(found)]
    more = ", …" if len(below) > FEW else ""
    return f"{words}; in it are {', '.join(map(str, below[:FEW]))}{more}" if below else words


def _is_any_kind(folder: Path) -> bool:
    return is_study(folder) or is_run(folder) or is_scored_model(folder)
