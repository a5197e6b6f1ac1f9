"""One arm against the baseline on one task and metric: by seeds, by questions, and at equal amounts of each axis."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import Literal

from prerl_spec.comparison.conditions import require_same_seed
from prerl_spec.comparison.equal_amounts import AtEqual
from prerl_spec.comparison.estimates import by_questions, by_seeds
from prerl_spec.comparison.findings import NO_FINDING, Difference
from prerl_spec.comparison.pairs import Pair
from prerl_spec.comparison.scored_run import AXES, AXIS_WORDS, Axis
from prerl_spec.comparison.subjects import Subject
from prerl_spec.comparison.track import at_equal


def difference_of(
    arm: str,
    baseline: str,
    pairs: Sequence[Pair],
    subject: Subject,
    metric: str,
    curve: tuple[Subject, str] | None = None,
) -> Difference:
    """The difference, without a finding yet. Where it is not known on an axis it is that of `curve`, and says so.

    Raises UsageError for a pair whose evaluations have drawn from other seeds, Damaged.
    """
    for pair in pairs:
        first, second = (subject.series[str(run.folder)] for run in (pair.first, pair.second))
        require_same_seed(
            subject.task,
            (f"{baseline}, {pair.first.label}", first),
            (f"{arm}, {pair.second.label}", second),
        )
    tracks = [(subject.track(pair.first, metric), subject.track(pair.second, metric)) for pair in pairs]
    questions = by_questions(tracks)
    trained = all(pair.first.trains and pair.second.trains for pair in pairs)
    found = {axis: over_pairs([at_equal(first, second, axis) for first, second in tracks]) for axis in AXIS_WORDS}
    return Difference(
        arm=arm,
        task=subject.label,
        metric=metric,
        values={pair.name: second.value for pair, (_, second) in zip(pairs, tracks, strict=True)},
        baseline_values={pair.name: first.value for pair, (first, _) in zip(pairs, tracks, strict=True)},
        by_seeds=by_seeds(tracks),
        by_questions=None if isinstance(questions, str) else questions,
        why_no_questions=questions if isinstance(questions, str) else "",
        axes={axis: _known(found[axis], axis, pairs, curve) for axis in AXES} if trained else {},
        ends_alike=tuple(axis for axis in AXIS_WORDS if trained and found[axis].how == "ends"),
        adjusted_p=None,
        finding=NO_FINDING,
        lower_is_better=tracks[0][0].is_lower_better,
        same_results=all(first.has_results_of(second) for first, second in tracks),
    )


def _known(found: AtEqual, axis: Axis, pairs: Sequence[Pair], curve: tuple[Subject, str] | None) -> AtEqual:
    if found.how != "unknown" or curve is None:
        return found
    subject, metric = curve
    tracks = [(subject.track(pair.first, metric), subject.track(pair.second, metric)) for pair in pairs]
    return replace(over_pairs([at_equal(*pair, axis) for pair in tracks]), on=f"{subject.label}/{metric}")


def over_pairs(found: Sequence[AtEqual]) -> AtEqual:
    """The mean over pairs of the differences at equal amounts, known where every pair's is."""
    hows = [pair.how for pair in found]
    how: Literal["ends", "curve"] = "curve" if "curve" in hows else "ends"
    if unknown := [pair.gap for pair in found if pair.how == "unknown"]:
        known = [gap for gap in unknown if gap is not None]
        gap = max(known) if len(known) == len(unknown) else None
        return AtEqual("unknown", gap=gap, unknown_pairs=len(unknown))
    if "unmoved" in hows:
        return AtEqual("unmoved")
    differences = [pair.difference for pair in found if pair.difference is not None]
    amounts = [pair.amount for pair in found if pair.amount is not None]
    return AtEqual(how, fmean(differences), fmean(amounts))
