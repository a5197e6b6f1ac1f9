"""The front door: folders in, a `Comparison` out."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from prerl_spec.comparison.alike import that_differ
from prerl_spec.comparison.arms import Absent, Arm, labelled, named_ones, with_baseline_first
from prerl_spec.comparison.claims import with_findings
from prerl_spec.comparison.curves import arm_curve, reached
from prerl_spec.comparison.differences import difference_of
from prerl_spec.comparison.findings import Comparison, Spent, Table
from prerl_spec.comparison.metrics import is_same_metric
from prerl_spec.comparison.pairs import Pair, other_prompts, paired_on, pairs_of
from prerl_spec.comparison.remarks import curve_that_may_tell, ended_worse, ended_worse_than_begun
from prerl_spec.comparison.scored_run import AXIS_WORDS, ScoredRun
from prerl_spec.comparison.sides import open_sides
from prerl_spec.comparison.subjects import Subject, chosen, subjects_of
from prerl_spec.errors import UsageError


@dataclass(frozen=True)
class _Arms:
    """The baseline, the arms that have a pair with it, and their pairs."""

    baseline: Arm
    pairs: Mapping[str, Sequence[Pair]]

    def runs(self, arm: str) -> list[ScoredRun]:
        """The runs of an arm that have a partner, each once."""
        if arm != self.baseline.name:
            return [pair.second for pair in self.pairs[arm]]
        found = [pair.first for pairs in self.pairs.values() for pair in pairs]
        return list({id(run): run for run in found}.values())

    @property
    def names(self) -> list[str]:
        return [self.baseline.name, *self.pairs]


def compare(
    folders: Sequence[Path],
    baseline: str | None = None,
    task: str | None = None,
    curve: str | None = None,
    only: Sequence[str] | None = None,
    margin: float | None = None,
    allowed: Collection[str] = (),
) -> Comparison:
    """Every arm, or those named by `only`, against the baseline, by default the first one.

    `folders` are runs, one study's folder, or folders of `eval`; `task` is a task, or "task/metric"; `curve` is a
    "task/metric" on which differences at equal amounts are read where the one compared has no scores near enough; `margin`
    (0.02: two points) is the size from which on a difference matters; `allowed` is what may differ ("template"), and is
    stated. Raises UsageError for what cannot be compared, Damaged for a file that is not what was written.
    """
    sides = open_sides(folders)
    arms = labelled(with_baseline_first(sides.arms, baseline))
    arms, unnamed = named_ones(arms, only)
    arms, alike = that_differ(arms)
    paired, absent = _paired(arms, [*sides.absent, *unnamed, *alike])
    runs = [run for name in paired.names for run in paired.runs(name)]
    names = {str(run.folder): _called(name, run) for name in paired.names for run in paired.runs(name)}
    subjects, left_out = subjects_of(runs, names, allowed)
    wanted = chosen(subjects, task)
    primary = chosen(subjects, sides.primary) if sides.primary else []
    read_on = chosen(subjects, curve)[0] if curve else None
    first = [one for one in primary if task is None]
    compared = [*first, *(one for one in wanted if not _is_among(one, first))]
    tables = []
    for subject, metric in compared:
        is_primary = _is_among((subject, metric), primary)
        # A curve of another task is for what is claimed, or was asked for by name.
        bears = is_primary or task is not None or sides.primary is None
        if bears and read_on is not None:
            _require_readable(paired, read_on, (subject, metric))
        tables.append(_table(paired, subject, metric, is_primary, read_on if bears else None))
    _require_margin_of_scores(margin, tables)
    tables = _with_claims(tables, margin, any_primary=sides.primary is not None)
    pairs = [pair for own in paired.pairs.values() for pair in own]
    of_subjects = [note for subject in subjects for note in subject.notes]
    return Comparison(
        title=sides.title,
        baseline=paired.baseline.name,
        arms=tuple(_spent(name, paired.runs(name)) for name in paired.names),
        paired_on=sides.base or paired_on(pairs),
        primary=sides.primary,
        family=sum(d.adjusted_p is not None for table in tables for d in table.differences),
        tables=tuple(tables),
        left_out=tuple((one.what, one.why) for one in (*absent, *left_out)),
        notes=tuple(dict.fromkeys([*sides.notes, *other_prompts(pairs), *ended_worse(tables), *of_subjects])),
        arms_named=only is not None,
        margin=margin,
        advice="" if curve else curve_that_may_tell(tables),
    )


def _is_among(one: tuple[Subject, str], others: Sequence[tuple[Subject, str]]) -> bool:
    """Whether this metric of a subject is there, by this or by its other name."""
    subject, metric = one
    return any(subject is other and is_same_metric(metric, known) for other, known in others)


def _called(arm: str, run: ScoredRun) -> str:
    return f"{arm}, {run.label}" if run.trains else arm


def _paired(arms: Sequence[Arm], missing: Sequence[Absent]) -> tuple[_Arms, list[Absent]]:
    """Raises UsageError where no run has a partner."""
    first, *others = arms
    absent = list(missing)
    pairs = {}
    for arm in others:
        found, alone = pairs_of(first, arm)
        absent += alone
        if found:
            pairs[arm.name] = found
    if not pairs:
        words = "; ".join(f"{one.what}: {one.why}" for one in dict.fromkeys(absent))
        raise UsageError(f"no two runs have the same seeds: {words}", hint="run each arm with the same seeds")
    return _Arms(first, pairs), list(dict.fromkeys(absent))


def _table(arms: _Arms, subject: Subject, metric: str, is_primary: bool, curve: tuple[Subject, str] | None) -> Table:
    tracks = {name: [subject.track(run, metric) for run in arms.runs(name)] for name in arms.names}
    own = tracks[arms.baseline.name]
    curves = [arm_curve(name, of_arm) for name, of_arm in tracks.items()]
    drawn = tuple(curve for curve in curves if curve is not None)
    threshold = fmean(track.value for track in own)
    lower = own[0].is_lower_better
    # A baseline that ends no better than it begins has a level that everyone reached at once.
    begins = fmean(track.places[0][1] for track in own)
    improves = bool(drawn) and (threshold < begins if lower else threshold > begins)
    return Table(
        task=subject.label,
        metric=metric,
        conditions=subject.in_words,
        is_primary=is_primary,
        baseline_values={track.run.label: track.value for track in own},
        differences=tuple(
            difference_of(name, arms.baseline.name, pairs, subject, metric, curve) for name, pairs in arms.pairs.items()
        ),
        curves=drawn,
        threshold=threshold if improves else None,
        reached=tuple(reached(tracks, threshold)) if improves else (),
        lower_is_better=lower,
        ended_worse=tuple(ended_worse_than_begun(tracks)),
    )


def _require_readable(arms: _Arms, curve: tuple[Subject, str], compared: tuple[Subject, str]) -> None:
    """Raises UsageError for a curve that is none, and for one whose better side is the other one."""
    tracks, own = ([one[0].track(run, one[1]) for run in arms.runs(arms.baseline.name)] for one in (curve, compared))
    name, of = (f"{subject.label}/{metric}" for subject, metric in (curve, compared))
    if arm_curve(arms.baseline.name, tracks) is None:
        raise UsageError(f"--curve {name}: too few scores for a curve", hint="`every` of an evaluator makes one")
    if tracks[0].is_lower_better != own[0].is_lower_better:
        less, more = (name, of) if tracks[0].is_lower_better else (of, name)
        raise UsageError(
            f"--curve {name}: lower is better in {less}, and higher in {more}",
            hint="name a curve of a score of the same direction, or one --task",
        )


def _require_margin_of_scores(margin: float | None, tables: Sequence[Table]) -> None:
    """Raises UsageError for a margin that no difference of shares reaches: 2 where two points, 0.02, are meant."""
    values = [
        v for table in tables for d in table.differences for v in (*d.values.values(), *d.baseline_values.values())
    ]
    if margin is not None and margin >= 1.0 and all(0.0 <= value <= 1.0 for value in values):
        raise UsageError(
            f"--margin {margin:g} is larger than any difference of scores in [0, 1]",
            hint=f"write it in units of the score: {margin:g} points are {margin / 100:g}",
        )


def _with_claims(tables: Sequence[Table], margin: float | None, *, any_primary: bool) -> list[Table]:
    """Holm's family: the primary over all arms, or, where none is named, everything that is compared."""
    flat = [(table, d) for table in tables for d in table.differences]
    in_family = [table.is_primary or not any_primary for table, _ in flat]
    found = iter(with_findings([d for _, d in flat], in_family, margin))
    return [replace(table, differences=tuple(next(found) for _ in table.differences)) for table in tables]


def _spent(arm: str, runs: Sequence[ScoredRun]) -> Spent:
    """Means over an arm's runs of what was spent at their last scores; nothing for models as they are."""
    if not all(run.trains for run in runs):
        return Spent(arm, tuple(run.label for run in runs), {})
    last = [run.spent_at(max(score.global_step for score in run.scores)) for run in runs]
    return Spent(
        arm,
        tuple(run.label for run in runs),
        {axis: fmean(getattr(amounts, axis) for amounts in last) for axis in AXIS_WORDS},
    )
