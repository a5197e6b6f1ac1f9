"""Cards of single questions: pass@k curves, a heat map over phases or checkpoints, and what changed most between them."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from statistics import fmean

from prerl_spec.report.drawing.heat_map import Strip, heat_map
from prerl_spec.report.drawing.labelled_table import labelled_table
from prerl_spec.report.drawing.markup import Html, tag
from prerl_spec.report.drawing.plots import NUM_STYLES, Curve, curve_chart
from prerl_spec.report.page.sample_responses import asked_text, attempt_details, outcome_badge
from prerl_spec.report.tables.evaluated import Change, most_changed
from prerl_spec.report.tables.intervals import of_shares
from prerl_spec.report.tables.question_grids import Asked, Grid, Place


def pass_curves(grids: Sequence[Grid]) -> list[Html]:
    """pass@k over k for each grid, a curve each place; and the last places of several arms in one chart."""
    drawn = [chart for grid in grids if (chart := _pass_chart(grid, grid.task, _places(grid))) is not None]
    for same in _by_conditions(grids).values():
        if len(same) > 1:
            last = {grid.title: grid.places[-1] for grid in same}
            chart = _pass_chart(same[0], f"{same[0].task}, at the end", last)
            drawn += [chart] if chart is not None else []
    return drawn


def heat_maps(grids: Sequence[Grid]) -> list[Html]:
    """A map for each task that was scored at several places, and beside it how many questions moved."""
    return [_heat_card(grid) for grid in grids if len(grid.places) > 1]


def changed_samples(grids: Sequence[Grid]) -> list[Html]:
    """A card for each task: the questions that rose and fell most between neighbouring places, with a response of each."""
    cards = []
    for grid in grids:
        if changes := most_changed(grid):
            entries = [_change(change) for change in changes]
            cards.append(tag("article", tag("h3", _titled(grid)), *entries, class_="card samples"))
    return cards


def sizes(num_samples: int) -> list[int]:
    """The k of a curve: powers of two up to the number of samples, and this number.

    >>> sizes(12)
    [1, 2, 4, 8, 12]
    """
    powers = [2**n for n in range(num_samples.bit_length()) if 2**n <= num_samples]
    return [*powers, *([num_samples] if powers[-1] != num_samples else [])]


def _places(grid: Grid) -> Mapping[str, Place]:
    return {place.label: place for place in grid.places}


def _by_conditions(grids: Sequence[Grid]) -> Mapping[str, list[Grid]]:
    found: dict[str, list[Grid]] = {}
    for grid in grids:
        found.setdefault(grid.conditions, []).append(grid)
    return found


def _pass_chart(grid: Grid, title: str, places: Mapping[str, Place]) -> Html | None:
    ks = sizes(grid.samples)
    judged = {label: place for label, place in places.items() if any(one.pass_at(1) for one in place.asked)}
    if len(ks) < 2 or not judged:
        return None
    curves = [_pass_curve(label, place.asked, ks, n % NUM_STYLES) for n, (label, place) in enumerate(judged.items())]
    several = any(len(place.asked) > 1 for place in judged.values())
    band = "least to most of the seeds" if several else "95 % interval"
    unit = f"over k, {grid.title}" if grid.title and title == grid.task else "over k"
    return curve_chart(f"{title}: pass@k", unit, curves, (), over="k", band=band, scale="log2")


def _pass_curve(label: str, seeds: Sequence[Asked], ks: Sequence[int], style: int) -> Curve:
    """The unbiased estimate for every k: of a single run with its interval over questions, of several seeds their mean with
    least and most."""
    shares = [[one.pass_at(k) for one in seeds] for k in ks]
    means = [[fmean(share_Q) for share_Q in of_k] for of_k in shares]
    if len(seeds) > 1:
        bounds = [(min(values), max(values)) for values in means]
    else:
        intervals = [of_shares(of_k[0]) for of_k in shares]
        bounds = [(interval.low, interval.high) for interval in intervals if interval is not None]
    return Curve(label, tuple(ks), tuple(map(fmean, means)), style, bounds=tuple(bounds))


def _heat_card(grid: Grid) -> Html:
    strips = [Strip(place.label, grid.share_Q(place)) for place in grid.places]
    rows_Q = [grid.row_of[question] for question in grid.questions]
    several = any(len(place.asked) > 1 for place in grid.places)
    unit = f"{len(rows_Q)} questions, the easiest first; {grid.metric}" + (", mean over seeds" if several else "")
    drawn = heat_map(_titled(grid), unit, strips, rows_Q, "point at a question for its shares")
    head = ("from one to the next", "questions", "rose", "fell", "never right to right", "right to never")
    rows: list[tuple[str | int, ...]] = [
        (f"{first.label} → {second.label}", *_moves(first, second)) for first, second in pairwise(grid.places)
    ]
    return tag("article", drawn, labelled_table("questions that moved", head, rows, flowing=True), class_="card")


def _moves(before: Place, after: Place) -> Iterator[int]:
    both = [(share, after.share_of[q]) for q, share in before.share_of.items() if q in after.share_of]
    yield len(both)
    yield sum(second > first for first, second in both)
    yield sum(second < first for first, second in both)
    yield sum(first == 0 < second for first, second in both)
    yield sum(second == 0 < first for first, second in both)


def _change(change: Change) -> Html:
    shown = [
        (place.label, share, attempt)
        for place, share, attempt in zip(
            (change.before, change.after), (change.first, change.second), change.responses, strict=True
        )
    ]
    question = next((a.question for _, _, a in shown if a is not None), None) or "(no question)"
    moved = f"{change.before.label} {change.first:.2f} → {change.after.label} {change.second:.2f}"
    heading = tag("summary", tag("b", moved), " ", tag("span", " ".join(question.split())[:120], class_="question"))
    responses: list[Html] = []
    for label, share, attempt in shown:
        if attempt is not None:
            told = tag(
                "p", outcome_badge(attempt.outcome), f" {label}, {share:.2f} of its responses right", class_="unit"
            )
            responses += [told, *attempt_details(attempt, question=False)]
    return tag("details", heading, asked_text(question), *responses)


def _titled(grid: Grid) -> str:
    return f"{grid.task}, {grid.title}" if grid.title else grid.task
