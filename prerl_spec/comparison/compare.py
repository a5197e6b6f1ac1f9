"""The front door: folders in, a `Comparison` out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from prerl_spec.comparison.arms import Absent, Arm, require_two_that_differ, with_baseline_first
from prerl_spec.comparison.claims import over_pairs, with_findings
from prerl_spec.comparison.conditions import (
    Condition,
    Scored,
    harness_notes,
    require_same_seed,
    series_of,
    shared_conditions,
)
from prerl_spec.comparison.curves import arm_curve, reached
from prerl_spec.comparison.estimates import by_questions, by_seeds
from prerl_spec.comparison.findings import Comparison, Difference, Estimate, Finding, Spent, Table
from prerl_spec.comparison.metrics import metrics_of
from prerl_spec.comparison.pairs import Pair, paired_on, pairs_of
from prerl_spec.comparison.scored_run import AXES, AXIS_WORDS, ScoredRun
from prerl_spec.comparison.sides import Sides, open_sides
from prerl_spec.comparison.track import Track, at_equal
from prerl_spec.errors import UsageError

NOT_YET = Finding("unknown", "")


@dataclass(frozen=True)
class _Subject:
    """A task under one condition, with the series of every run that is compared."""

    task: str
    label: str
    condition: Condition
    series: Mapping[int, Scored]

    def track(self, run: ScoredRun, metric: str) -> Track:
        return Track(run, self.series[id(run)], metric)


def compare(folders: Sequence[Path], baseline: str | None = None, task: str | None = None) -> Comparison:
    """Every arm against the baseline, by default the first one.

    `folders` are runs, one study's folder, or folders of `eval`; `task` is a task, or "task/metric". Raises UsageError for what
    cannot be compared, Damaged for a file that is not what was written.
    """
    sides = open_sides(folders)
    arms = with_baseline_first(sides.arms, baseline)
    require_two_that_differ(arms)
    first, *others = arms
    pairs, absent = _pairs(first, others, sides.absent)
    compared = [arm for arm in others if pairs[arm.name]]
    if not compared:
        raise UsageError(
            f"no run of {first.name} has a partner with its seed: "
            + "; ".join(f"{one.what}: {one.why}" for one in absent),
            hint="run each arm with the same seeds",
        )
    paired = [pair for arm in compared for pair in pairs[arm.name]]
    runs = list({id(run): run for pair in paired for run in (pair.first, pair.second)}.values())
    subjects, left_out = _subjects(runs, task or None)
    primary = sides.primary if task is None else None
    tables = _tables(first, compared, pairs, subjects, task, sides.primary)
    return Comparison(
        title=sides.title,
        baseline=first.name,
        arms=tuple(_spent(arm, runs) for arm in (first, *compared)),
        paired_on=paired_on(paired),
        primary=sides.primary,
        family=sum(
            d.adjusted_p is not None for table in tables for d in table.differences
        ),
        tables=tuple(tables),
        left_out=tuple((one.what, one.why) for one in (*absent, *left_out)),
        notes=tuple(dict.fromkeys(_notes(subjects, runs))),
    )
