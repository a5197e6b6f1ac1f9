"""Arms of a report: runs whose plans differ in their seeds and names only are drawn as one, with their mean and spread."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from prerl_spec.compiler.compare.seeds import PLAN, model_seed, without_seeds
from prerl_spec.compiler.compile import read_plan
from prerl_spec.errors import Damaged, UsageError
from prerl_spec.report.tables.run_tables import RunRecord, Stretch


@dataclass(frozen=True)
class Arm:
    """The runs of one plan, a run each seed, which `labels` name: `Arm("quickstart", runs, ("seed 0", "seed 1"))`.

    A run whose plan cannot be read, and a folder of `eval`, is an arm of its own.
    """

    name: str
    runs: tuple[RunRecord, ...]
    labels: tuple[str, ...]

    @property
    def num_seeds(self) -> int:
        return len(self.runs)

    @property
    def title(self) -> str:
        """`quickstart`, or `quickstart, 3 seeds`."""
        return self.name if self.num_seeds == 1 else f"{self.name}, {self.num_seeds} seeds"

    def called(self, index: int) -> str:
        """The run's name in words: `quickstart, seed 1`; the arm's where it has no other run."""
        return self.name if self.num_seeds == 1 else f"{self.name}, {self.labels[index]}"


def arms_of(runs: Sequence[RunRecord]) -> list[Arm]:
    """The runs by arm, in the order given. Arms that share a name are named by their first folders, or by their paths if the
    folder names are equal too."""
    of_meaning: dict[object, list[tuple[tuple[int, int | None], RunRecord]]] = {}
    for run in runs:
        meaning, seeds = _meaning_and_seeds(run)
        of_meaning.setdefault(meaning or run.folder, []).append((seeds, run))
    arms = []
    for members in of_meaning.values():
        own = [run for _, run in members]
        labels = _labels([seeds for seeds, _ in members], own)
        arms.append(Arm(own[0].name, tuple(replace(run, name=own[0].name) for run in own), labels))
    return _with_distinct_names(arms)


def common_stretches(runs: Sequence[RunRecord]) -> tuple[Stretch, ...]:
    """The phases of the longest run, if every other run went through the same ones as far as it got; else none."""
    longest = max(runs, key=lambda run: len(run.steps)).stretches
    for run in runs:
        reached = run.steps[-1].global_step if run.steps else 0
        begun = [(s.phase, s.first) for s in longest if s.first <= reached]
        if [(s.phase, s.first) for s in run.stretches] != begun:
            return ()
    return longest


def _meaning_and_seeds(run: RunRecord) -> tuple[str | None, tuple[int, int | None]]:
    """What the plan means but for its seeds, and these. A plan that this version cannot read, or that was changed, means
    nothing that could be compared: such a run stands alone."""
    try:
        plan = read_plan(run.folder / PLAN)
        return without_seeds(run.folder, plan), (plan.seed, model_seed(plan))
    except (UsageError, Damaged, OSError):
        return None, (0, None)


def _labels(seeds: Sequence[tuple[int, int | None]], runs: Sequence[RunRecord]) -> tuple[str, ...]:
    """The seeds in words: with model.seed where run.seed does not tell the runs apart, and the folder where neither does."""
    ways: tuple[Callable[[int], str], ...] = (
        lambda n: f"seed {seeds[n][0]}",
        lambda n: f"seed {seeds[n][0]} with model.seed {seeds[n][1]}",
        lambda n: f"seed {seeds[n][0]} ({runs[n].folder})",
    )
    labels: tuple[str, ...] = ()
    for way in ways:
        labels = tuple(map(way, range(len(runs))))
        if len(set(labels)) == len(labels):
            break
    return labels


def _with_distinct_names(arms: Sequence[Arm]) -> list[Arm]:
    ways: tuple[Callable[[Arm], str], ...] = (
        lambda arm: arm.name,
        lambda arm: arm.runs[0].folder.resolve().name,
        lambda arm: str(arm.runs[0].folder),
    )
    names: list[str] = []
    for way in ways:
        names = [way(arm) for arm in arms]
        if len(set(names)) == len(names):
            break
    return [
        Arm(name, tuple(replace(run, name=name) for run in arm.runs), arm.labels)
        for arm, name in zip(arms, names, strict=True)
    ]
