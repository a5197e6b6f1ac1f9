"""In what a study differs from another one of its name, whose folder is there: the first keys, in words."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from prerl_spec.compiler.compile import read_plan
from prerl_spec.compiler.plan import Plan
from prerl_spec.compiler.planning.flat_meaning import ABSENT, differing, leaves, shown_value
from prerl_spec.errors import PrerlError
from prerl_spec.storage.study_files import SHARED
from prerl_spec.study.study_plan import StudyPlan

MOST = 3
_OF_THE_CELL = ("run.", "start.", "cut.")
"""Where the plan in a cell's folder differs from its arm's: it begins behind shared phases, and is cut."""


def changed_meaning(root: Path, said: Mapping[str, Any], study: StudyPlan) -> str:
    """`study.seeds is [0, 1] there, [0, 1, 2] here`; `said` is the folder's study.json. Empty where nothing can be named: the
    cells that differ have not begun."""
    found = [*_of_study(said, study), *_of_cells(root, said, study)]
    more = f" and {len(found) - MOST} more" if len(found) > MOST else ""
    return "; ".join(found[:MOST]) + more


def _of_study(said: Mapping[str, Any], study: StudyPlan) -> Iterator[str]:
    here = {
        "run.name": study.name,
        "study.arms": list(study.arms),
        "study.seeds": list(study.seeds),
        "study.match": study.match,
        "study.budget": study.budget,
        "study.primary": study.primary,
    }
    for path, value in here.items():
        there = said.get(path.rpartition(".")[2])
        if there != value:
            yield _words(path, ABSENT if there is None else there, ABSENT if value is None else value)


def _of_cells(root: Path, said: Mapping[str, Any], study: StudyPlan) -> Iterator[str]:
    """Of the first cell that both have, and that means another thing here."""
    digests = {(cell.arm, cell.seed): cell.plan.digest for cell in study.cells}
    for cell in said.get("cells", []):
        name = (cell["arm"], cell["seed"])
        if digests.get(name, cell["digest"]) != cell["digest"]:
            # A plan that is damaged, or of an earlier version, is no reason not to say the rest.
            with suppress(PrerlError):
                yield from _of_arm(root, cell, study.cell(*name).plan)
            return


def _of_arm(root: Path, cell: Mapping[str, Any], here: Plan) -> Iterator[str]:
    files = [root / SHARED / key / "plan.json" for key in cell["continues"]] + [root / cell["folder"] / "plan.json"]
    plans = [read_plan(file) for file in files if file.is_file()]
    if plans:
        phases = {phase.id: phase for plan in plans for phase in plan.phases}
        there = replace(plans[-1], phases=tuple(phases.values()))
        # Before the cell itself has begun, only the phases that it shares can be compared.
        is_whole = files[-1].is_file()
        now = replace(here, phases=tuple(phase for phase in here.phases if is_whole or phase.id in phases))
        for path, old, new in differing(leaves(there), leaves(now)):
            if not path.startswith(_OF_THE_CELL):
                yield _words(path, old, new)


def _words(path: str, there: Any, here: Any) -> str:
    old, new = ("not written" if value is ABSENT else shown_value(value) for value in (there, here))
    return f"{path} is {old} there, {new} here"
