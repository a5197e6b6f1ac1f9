"""The plan of each run of a study, written into its folder: where it starts, which phases are left to it, where it is cut."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from prerl_spec.compiler.compile import read_plan
from prerl_spec.compiler.evaluator_rendering import rendered_as_in
from prerl_spec.compiler.graph import Cut
from prerl_spec.compiler.past_runs.start_point import planned_start
from prerl_spec.compiler.plan import Plan
from prerl_spec.compiler.planning.cut import with_cut
from prerl_spec.compiler.planning.digest import digest_of_plan
from prerl_spec.errors import Damaged, RunFailed, UsageError
from prerl_spec.storage.disk import make_folder, write_whole
from prerl_spec.storage.sealed import read_object
from prerl_spec.storage.study_files import SHARED
from prerl_spec.study.amounts import amount
from prerl_spec.study.shared_phases import SharedPhases
from prerl_spec.study.study_folder import StudyFolder
from prerl_spec.study.study_plan import Cell, StudyPlan, cell_name
from prerl_spec.study.tasks import Task

PLAN = "plan.json"
CACHE = Path("evaluation", "cache")
"""Where a run keeps scores by weights and conditions."""


def prepared(study: StudyPlan, folder: StudyFolder, task: Task) -> Plan:
    """The plan of a task whose predecessors are finished, in its run folder, with what they have scored already.

    A plan that is there stays: the run may have begun. Raises Damaged.
    """
    run = folder.run(task.name)
    file = run / PLAN
    if file.is_file():
        plan = read_plan(file)
    else:
        plan = _shared_plan(study, folder, task) if task.cell is None else _cell_plan(study, folder, task.cell)
        make_folder(run)
        write_whole(file, plan.text())
    for score in _known_scores(study, folder, task):
        copy = run / CACHE / score.name
        if not copy.exists():
            write_whole(copy, score.read_bytes())
    return plan


def _shared_plan(study: StudyPlan, folder: StudyFolder, task: Task) -> Plan:
    """Of the first phases, going on from a shorter shared run where there is one."""
    shared = next(s for s in study.shared if f"{SHARED}/{s.key}" == task.name)
    chain = next(cell.continues for cell in study.cells if shared in cell.continues)
    earlier = chain[: chain.index(shared)]
    return continued(shared.plan, folder, earlier[-1]) if earlier else shared.plan


def _cell_plan(study: StudyPlan, folder: StudyFolder, cell: Cell) -> Plan:
    """Of the phases behind the shared ones, cut at the budget.

    Where a shared run beyond the arms' common one has already taken the whole budget, the cell starts before it.
    """
    budget = _budget(study, folder, cell)
    chain = cell.continues
    while chain and budget is not None and _before(study, folder, cell, chain) >= budget:
        chain = chain[:-1]
    plan = continued(cell.plan, folder, chain[-1]) if chain else cell.plan
    if budget is None:
        return plan
    return with_cut(plan, Cut(study.match, budget, _before(study, folder, cell, chain)))


def _budget(study: StudyPlan, folder: StudyFolder, cell: Cell) -> float | None:
    """The written budget, else what the first arm's finished cell of this seed has taken; None for that cell itself, and in
    a study that cuts no arm. Raises RunFailed where that is nothing."""
    if study.budget is not None or cell.arm == study.arms[0] or not study.is_cut:
        return study.budget
    first = study.cell(study.arms[0], cell.seed)
    taken = _before(study, folder, first, first.continues) + amount(folder.run(first.name), study.match)
    if not taken:
        what = study.match.replace("_", " ")
        raise RunFailed(
            f"{first.name} has taken no {what}, where this cell would end", hint="write study.budget, or match"
        )
    return taken


def _before(study: StudyPlan, folder: StudyFolder, cell: Cell, chain: tuple[SharedPhases, ...]) -> float:
    """What the shared runs of a chain have taken that not all arms share: it counts towards the budget."""
    common = study.common(cell.seed)
    beyond = chain if common is None else chain[chain.index(common) + 1 :]
    return sum(amount(folder.run(f"{SHARED}/{shared.key}"), study.match) for shared in beyond)


def continued(plan: Plan, folder: StudyFolder, shared: SharedPhases) -> Plan:
    """The plan of the phases behind a shared run, starting from its end and scored as the whole plan is. Raises UsageError,
    Damaged, EnvironmentUnmet, Drift."""
    run = folder.run(f"{SHARED}/{shared.key}")
    sought = planned_start(f"{run.absolute()}@{shared.last_phase}", (Path(),))
    if sought.found is None:
        raise UsageError(sought.unknown or "", hint=sought.hint)
    left = replace(plan, phases=plan.phases[shared.num_phases :], start=sought, estimated_seconds=None)
    left = replace(left, evaluators=rendered_as_in(plan, left))
    return replace(left, digest=digest_of_plan(left))


def _known_scores(study: StudyPlan, folder: StudyFolder, task: Task) -> Iterator[Path]:
    """Cached scores of the weights that a run starts from: those of the shared run that it continues, and the base scores
    of the first arm. Found by weights and conditions, so that any further one does no harm."""
    if task.cell is None:
        return
    for shared in task.cell.continues[-1:]:
        yield from sorted((folder.run(f"{SHARED}/{shared.key}") / CACHE).glob("*.json"))
    first = cell_name(study.arms[0], task.seed)
    if task.name != first:
        yield from (f for f in sorted((folder.run(first) / CACHE).glob("*.json")) if _is_of_base(f))


def _is_of_base(file: Path) -> bool:
    """A damaged one is left behind: it is then scored again."""
    try:
        return any(score["phase"] == "base" for score in read_object(file)["scores"])
    except Damaged:
        return False
