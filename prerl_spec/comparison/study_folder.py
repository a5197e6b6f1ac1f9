"""A study's folder as arms: its cells by what study.json says, and what has become of those that are not finished."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from prerl_spec.comparison.arms import Absent, Arm
from prerl_spec.comparison.opening import is_run, open_run
from prerl_spec.comparison.scored_run import ScoredRun
from prerl_spec.compiler.compare.seeds import PLAN
from prerl_spec.compiler.compile import read_plan
from prerl_spec.compiler.plan import Plan
from prerl_spec.compiler.planning.digest import digest_of_plan
from prerl_spec.errors import UsageError
from prerl_spec.storage.chained_lines import read_lines
from prerl_spec.storage.run_events import read_run_events, was_cut
from prerl_spec.storage.sealed import read_object
from prerl_spec.storage.study_files import STUDY

STATE = "state.jsonl"


@dataclass(frozen=True)
class OpenStudy:
    """The arms in the study's order, the first being the baseline; cells that are not finished are `absent`."""

    name: str
    arms: tuple[Arm, ...]
    absent: tuple[Absent, ...]
    primary: str | None
    notes: tuple[str, ...]
    base: str


def is_study(folder: Path) -> bool:
    return (folder / STUDY).is_file()


def open_study(folder: Path) -> OpenStudy:
    """Reads the finished cells. Raises Damaged; UsageError for a file that is no study's, for a cell that is not what the study
    says, and where fewer than two arms have a finished cell."""
    said = read_object(folder / STUDY)
    if missing := {"name", "arms", "cells"} - said.keys():
        raise UsageError(f"{folder / STUDY} is no study's: it lacks {', '.join(sorted(missing))}")
    _require_cells(folder / STUDY, said)
    state = _last_words(folder / STATE)
    finished: dict[str, list[ScoredRun]] = {arm: [] for arm in said["arms"]}
    without: dict[tuple[str, str], list[int]] = {}
    short: list[str] = []
    for cell in said["cells"]:
        found = _cell(folder / cell["folder"], cell)
        if isinstance(found, str):
            why = _why(state.get(f"{cell['arm']}/{cell['seed']}"), found)
            without.setdefault((cell["arm"], why), []).append(cell["seed"])
        else:
            finished[cell["arm"]].append(found)
            if read_plan(found.folder / PLAN).cut is not None and not was_cut(read_run_events(found.folder).entries):
                short.append(f"{cell['arm']}/{cell['seed']}")
    absent = [Absent(f"{arm}, {seeds_in_words(seeds)}", why) for (arm, why), seeds in without.items()]
    arms = tuple(Arm(arm, tuple(runs)) for arm, runs in finished.items() if runs)
    notes = _notes(said, sum(map(len, finished.values())))
    if short:
        notes += (f"{', '.join(short)} ended before that, with the most steps that the last phase may take",)
    if len(arms) < 2:
        words = "; ".join(f"{one.what}: {one.why}" for one in absent)
        raise UsageError(
            f"{folder}: fewer than two arms have a finished cell: {words}",
            hint="`prerl-spec study SPEC` goes on with it",
        )
    cells = {f"{cell['arm']}/{cell['seed']}" for cell in said["cells"]}
    if taken := [name for name in cells if state.get(name, {}).get("event") == "take"]:
        notes += (
            f"{len(taken)} cells were taken over from an earlier study, with the seconds of that time: arms or seeds that were "
            "added after a look at it are no test that was stated beforehand",
        )
    return OpenStudy(said["name"], arms, tuple(absent), said.get("primary"), notes, str(said.get("base") or ""))


def _require_cells(file: Path, said: Mapping[str, Any]) -> None:
    """Raises UsageError where study.json was not written by a study."""
    if not said["cells"]:
        raise UsageError(f"{file} has no cells", hint="name the folder of a study")
    for cell in said["cells"]:
        if missing := {"arm", "seed", "folder"} - cell.keys():
            raise UsageError(f"{file} is no study's: a cell lacks {', '.join(sorted(missing))}")
        if cell["arm"] not in said["arms"]:
            raise UsageError(f"{file} is no study's: a cell is of arm {cell['arm']}, and the arms are {said['arms']}")


def _require_own_plan(folder: Path, plan: Plan, cell: Mapping[str, Any]) -> None:
    """Raises UsageError for a run of another seed, or of another plan; that of a cell which continues a shared run is not known
    beforehand."""
    if plan.seed != cell["seed"]:
        raise UsageError(
            f"{folder} is a run of seed {plan.seed}, and the study has seed {cell['seed']} there",
            hint="restore the study's folder: it holds a run of another study",
        )
    if cell.get("continues") or "digest" not in cell:
        return
    if digest_of_plan(replace(plan, cut=None)) != cell["digest"]:
        raise UsageError(
            f"{folder} is a run of another plan than the study has there",
            hint="restore the study's folder: it holds a run of another arm or study",
        )


def _cell(folder: Path, cell: Mapping[str, Any]) -> ScoredRun | str:
    if not is_run(folder):
        return "not begun"
    plan = read_plan(folder / PLAN)
    _require_own_plan(folder, plan, cell)
    return open_run(folder, plan)


def _last_words(file: Path) -> Mapping[str, Mapping[str, Any]]:
    """The last line of each cell; none yet for a study that has not begun. Raises Damaged."""
    return {line["cell"]: line for line in read_lines(file).entries if "cell" in line} if file.is_file() else {}


def _why(line: Mapping[str, Any] | None, found: str) -> str:
    if line is None or line["event"] != "fail":
        return found
    return f"failed: {line.get('cause') or 'exit code ' + str(line.get('code'))}"


def seeds_in_words(seeds: Sequence[int]) -> str:
    """`seed 3`; `seeds 0, 2 to 19`."""
    runs: list[list[int]] = []
    for seed in sorted(seeds):
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    words = [f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs]
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(words)}"


def _notes(said: Mapping[str, Any], num_finished: int) -> tuple[str, ...]:
    notes: list[str] = []
    if num_finished < len(said["cells"]):
        notes.append(
            f"{num_finished} of {len(said['cells'])} cells are finished: a look before the end, for which p does not allow"
        )
    notes += said.get("unpaired", [])
    if said.get("match") and said.get("is_cut", True):
        budget = said.get("budget")
        at = f"{budget:,.15g} " if isinstance(budget, int | float) else "the first arm's "
        notes.append(f"arms end at {at}{str(said['match']).replace('_', ' ')}")
    return tuple(notes)
