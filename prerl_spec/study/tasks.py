"""The runs of a study as tasks with what must be finished before each."""

from collections.abc import Iterator
from dataclasses import dataclass

from prerl_spec.storage.study_files import SHARED
from prerl_spec.study.study_plan import Cell, StudyPlan, cell_name


@dataclass(frozen=True)
class Task:
    """One run: a cell, or phases that cells share (`cell` is None). All of `after` must be finished before it begins.

    Tasks of one `stage` depend on earlier stages only: shared runs by depth, then first arms, then the others.
    """

    name: str
    after: tuple[str, ...]
    stage: int
    seed: int
    cell: Cell | None = None
    phase: str = ""
    """The last phase of a shared run."""

    @property
    def label(self) -> str:
        """The name; of a shared run, which is called by a hash, also what it computes: `shared/0a1b… (pretrain, seed 0)`."""
        return self.name if self.cell is not None else f"{self.name} ({self.phase}, seed {self.seed})"


def tasks_of(study: StudyPlan) -> tuple[Task, ...]:
    """Every task, those of one seed together, each behind what it waits for."""
    depth = max(len(cell.continues) for cell in study.cells)
    found = [task for seed in study.seeds for task in _of_seed(study, seed, depth)]
    return tuple({task.name: task for task in found}.values())


def waits_for_first_arm(study: StudyPlan) -> bool:
    """Whether the first arm's cell of a seed comes before the others: they end at what it has taken, or find the scores of
    their common base in it, which are then computed once."""
    scored = any("base" in e.component.settings["at"] for e in study.cells[0].plan.evaluators)
    return (study.is_cut and study.budget is None) or scored


def _of_seed(study: StudyPlan, seed: int, depth: int) -> Iterator[Task]:
    cells = [cell for cell in study.cells if cell.seed == seed]
    for cell in cells:
        for level, shared in enumerate(cell.continues):
            earlier = (f"{SHARED}/{cell.continues[level - 1].key}",) if level else ()
            yield Task(f"{SHARED}/{shared.key}", earlier, level, seed, phase=shared.last_phase)
    first = cell_name(study.arms[0], seed)
    waits = waits_for_first_arm(study)
    for cell in cells:
        after = [f"{SHARED}/{shared.key}" for shared in cell.continues[-1:]]
        is_first = cell.name == first
        if waits and not is_first:
            after.append(first)
        yield Task(cell.name, tuple(after), depth if is_first or not waits else depth + 1, seed, cell)
