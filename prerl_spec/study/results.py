"""The scores at the end of a study's cells: mean over seeds by arm, task and metric."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from prerl_spec.compiler.compile import read_plan
from prerl_spec.report.terminal.summary import aligned
from prerl_spec.storage.run_events import read_run_events, was_cut
from prerl_spec.storage.sealed import read_array
from prerl_spec.study.run_plans import PLAN
from prerl_spec.study.study_folder import StudyFolder
from prerl_spec.study.study_plan import StudyPlan

Key = tuple[str, str]
"""Task and metric."""


def end_scores(run: Path) -> dict[Key, float]:
    """The values of a run's last scored step by task and metric; empty if it was never scored. Raises Damaged."""
    file = run / "scores.json"
    rows: Sequence[Mapping[str, Any]] = read_array(file) if file.is_file() else []
    last = max((row["global_step"] for row in rows), default=0)
    return {(row["task"], row["metric"]): row["value"] for row in rows if row["global_step"] == last}


def primary_key(primary: str) -> Key:
    """`math500_boxed/avg@4` as task and metric; a task may have further slashes."""
    task, _, metric = primary.rpartition("/")
    return task, metric


def results_table(study: StudyPlan, folder: StudyFolder) -> str:
    """One row for each task and metric, the primary one first, one column for each arm: means over the finished seeds, whose
    number is the last row. Tasks have long names and arms short ones, so that it stays as wide as a terminal. Empty if nothing
    was scored.
    """
    found = {
        arm: [end_scores(folder.run(c.name)) for c in study.cells if c.arm == arm and folder.is_finished(c.name)]
        for arm in study.arms
    }
    keys = list(dict.fromkeys(key for cells in found.values() for cell in cells for key in cell))
    if study.primary is not None and (first := primary_key(study.primary)) in keys:
        keys.sort(key=lambda key: key != first)
    if not keys:
        return ""
    rows = [
        ["/".join(key), *(_mean([cell[key] for cell in cells if key in cell]) for cells in found.values())]
        for key in keys
    ]
    seeds = ["seeds", *(str(len(cells)) for cells in found.values())]
    return aligned([["mean over seeds", *found], *rows, seeds], left=1)


def short_of_budget(study: StudyPlan, folder: StudyFolder) -> list[str]:
    """The finished cells that ended before their budget: they are not equal to the others. Raises Damaged, UsageError."""
    runs = ((cell.name, folder.run(cell.name)) for cell in study.cells if folder.is_finished(cell.name))
    return [
        name
        for name, run in runs
        if read_plan(run / PLAN).cut is not None and not was_cut(read_run_events(run).entries)
    ]


def _mean(values: Sequence[float]) -> str:
    return f"{fmean(values):.3f}" if values else "-"
