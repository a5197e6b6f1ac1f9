"""Arms of a report: runs whose plans differ in their seeds and names only are drawn as one, with their mean and spread."""

from collections import Counter
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
    of_meaning: dict[object, list[tuple[str, RunRecord]]] = {}
    for run in runs:
        meaning, label = _meaning_and_label(run)
        of_meaning.setdefault(meaning or run.folder, []).append((label, run))
    arms = []
    for members in of_meaning.values():
        first = members[0][1]
        labels = _told_apart([label for label, _ in members], [run for _, run in members])
        arms.append(Arm(first.name, tuple(replace(run, name=first.name) for _, run in members), labels))
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


def _meaning_and_label(run: RunRecord) -> tuple[str | None, str]:
    """What the plan means but for its seeds, and the seeds in words. A plan that this version cannot read, or that was
    changed, means nothing that could be compared: such a run stands alone."""
    try:
        plan = read_plan(run.folder / PLAN)
        meaning = without_seeds(run.folder, plan)
    except (UsageError, Damaged, OSError):
        return None, run.name
    fresh = model_seed(plan)
    more = "" if fresh in (None, plan.seed) else f", model.seed {fresh}"
    return meaning, f"seed {plan.seed}{more}"


def _told_apart(labels: Sequence[str], runs: Sequence[RunRecord]) -> tuple[str, ...]:
    """The labels; with the folder where two runs have the same seeds."""
    counted = Counter(labels)
    return tuple(
        label if counted[label] == 1 else f"{label} ({run.folder})" for label, run in zip(labels, runs, strict=True)
    )


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
