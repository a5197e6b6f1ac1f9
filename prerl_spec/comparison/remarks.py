"""What a comparison remarks on its tables: a curve that may tell more, arms that end worse than they began."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean

from prerl_spec.comparison.findings import Difference, Table
from prerl_spec.comparison.track import Track


def ended_worse_than_begun(tracks: Mapping[str, Sequence[Track]]) -> Iterator[str]:
    """`grpo: 0.122 at first, 0.009 at its end`, of an arm each of whose runs ends worse than its first score."""
    for arm, own in tracks.items():
        first, last = ([track.places[place][1] for track in own] for place in (0, -1))
        lower = own[0].is_lower_better
        if all((end > start) if lower else (end < start) for start, end in zip(first, last, strict=True)):
            yield f"{arm}: {fmean(first):.3f} at first, {fmean(last):.3f} at its end"


def ended_worse(tables: Sequence[Table]) -> list[str]:
    """Notes on what is claimed, or looked at where nothing can be: an arm may be better than one that has collapsed."""
    return [
        f"every run ends worse than it was first scored, {table.task} {table.metric}: {'; '.join(table.ended_worse)}"
        for table in tables
        if table.ended_worse and any(d.adjusted_p is not None for d in table.differences)
    ]


def curve_that_may_tell(tables: Sequence[Table]) -> str:
    """A line that names a curve on which every axis is known, where one that is compared has an axis that is not."""
    adjusted = [d for table in tables for d in table.differences if d.adjusted_p is not None]
    lower = {d.lower_is_better for d in adjusted if _has_unknown([d])}
    with_curve = [
        t
        for t in tables
        if t.curves and {t.lower_is_better} == lower and "(" not in t.task and not _has_unknown(t.differences)
    ]
    if not with_curve:
        return ""
    name = f"{with_curve[0].task}/{with_curve[0].metric}"
    return f"where a difference at equal amounts is not known, `--curve {name}` reads it on that task's curve"


def _has_unknown(differences: Sequence[Difference]) -> bool:
    return any(at.how == "unknown" for difference in differences for at in difference.axes.values())
