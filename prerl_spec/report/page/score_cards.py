"""Cards of scores: values with their intervals, or the mean and spread of an arm's seeds, on one axis; and their curves."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan
from statistics import fmean

from prerl_spec.report.drawing.interval_rows import Row, interval_rows
from prerl_spec.report.drawing.labelled_table import labelled_table
from prerl_spec.report.drawing.markup import Html, tag
from prerl_spec.report.drawing.plots import NUM_STYLES, Curve, curve_chart
from prerl_spec.report.formatting.scales import short
from prerl_spec.report.page.scores import Protocol, final_scores
from prerl_spec.report.tables.arms import Arm, common_stretches
from prerl_spec.report.tables.equal_scores import each_once
from prerl_spec.types import Score

MAX_DRAWN = 3
"""Metrics of a task with a drawing of their own; the table has all."""
_AT_K = re.compile(r"([\w-]+@)(\d+)(?:_[\d.]+)?")


@dataclass(frozen=True)
class Conditions:
    """What scores of a card share: their protocol but for the evaluation's seed, which is the run's where none is written, and
    which of several evaluators with otherwise equal conditions it is."""

    protocol: Protocol
    evaluator: int


@dataclass(frozen=True)
class Cell:
    """The scores of one metric of one arm after one phase, by the label of the run:
    `Cell(0, "refine", "avg@16", {"seed 0": score})`."""

    arm: int
    phase: str
    metric: str
    of_run: Mapping[str, Score]

    @property
    def scores(self) -> tuple[Score, ...]:
        return tuple(self.of_run.values())

    @property
    def mean(self) -> float:
        return fmean(score.value for score in self.scores)

    @property
    def bounds(self) -> tuple[float, float]:
        """Least and most of the seeds; a single score's interval, or its value where it has none."""
        if len(self.scores) > 1:
            return min(s.value for s in self.scores), max(s.value for s in self.scores)
        return drawn_bounds(self.scores[0])

    @property
    def text(self) -> str:
        """`0.640 [0.605, 0.675]`; `0.640 (0.610 to 0.670)` for several seeds."""
        if len(self.scores) > 1:
            low, high = self.bounds
            return f"{self.mean:.3f} ({low:.3f} to {high:.3f})"
        return with_interval(self.scores[0])


def score_cards(arms: Sequence[Arm]) -> list[Html]:
    """One card per task and conditions: one drawing per metric, a table with token budgets, and the conditions."""
    found: dict[Conditions, list[Cell]] = {}
    for conditions, cell in _cells(arms):
        found.setdefault(conditions, []).append(cell)
    return [_card(arms, conditions, cells) for conditions, cells in found.items()]


def score_curves(arms: Sequence[Arm]) -> list[Html]:
    """Curves over global steps for metrics that are also scored within phases (`every`): with intervals for a single run, as
    the mean of an arm's seeds with their spread."""
    named: dict[tuple[Conditions, str], list[Curve]] = {}
    for index, arm in enumerate(arms):
        at: dict[tuple[Conditions, str], list[dict[int, Score]]] = {}
        for run in arm.runs:
            of_run: dict[tuple[Conditions, str], dict[int, Score]] = {}
            for conditions, score in _with_conditions(each_once(run.scores)):
                of_run.setdefault((conditions, score.metric), {})[score.global_step] = score
            for key, places in of_run.items():
                at.setdefault(key, []).append(places)
        num_phases = max((len({s.phase for s in run.scores}) for run in arm.runs), default=0)
        for key, seeds in at.items():
            steps = [step for step in sorted(seeds[0]) if all(step in other for other in seeds)]
            if len(steps) > num_phases:
                label = key[1] if len(arms) == 1 else arm.title
                named.setdefault(key, []).append(_curve(label, steps, seeds, index % NUM_STYLES))
    stretches = common_stretches(arms[0].runs) if len(arms) == 1 else ()
    band = "95 % interval" if all(arm.num_seeds == 1 for arm in arms) else "least to most of the seeds"
    return [
        curve_chart(f"{conditions.protocol.task}: {metric}", "over training", curves, stretches, band=band)
        for (conditions, metric), curves in named.items()
    ]


def drawn_bounds(score: Score) -> tuple[float, float]:
    """The interval, or the value alone where there is none."""
    return (score.value, score.value) if isnan(score.low) else (score.low, score.high)


def with_interval(score: Score) -> str:
    """`0.640 [0.605, 0.675]`."""
    return f"{score.value:.3f} {score.bounds_text(3)}"


def _cells(arms: Sequence[Arm]) -> Iterator[tuple[Conditions, Cell]]:
    """Sorted by phase within their conditions, with the arms adjacent within each phase, for comparison."""
    cells: dict[tuple[Conditions, int, str, str], dict[str, Score]] = {}
    for index, arm in enumerate(arms):
        for label, run in zip(arm.labels, arm.runs, strict=True):
            for conditions, score in _with_conditions(each_once(final_scores(run.scores))):
                cells.setdefault((conditions, index, score.phase, score.metric), {})[label] = score
    phases = list(dict.fromkeys(phase for _, _, phase, _ in cells))
    ordered = sorted(cells.items(), key=lambda item: phases.index(item[0][2]))
    for (conditions, index, phase, metric), scores in ordered:
        yield conditions, Cell(index, phase, metric, scores)


def _with_conditions(scores: Sequence[Score]) -> Iterator[tuple[Conditions, Score]]:
    """The scores of one run; evaluators that differ in their seeds alone are numbered."""
    seeds: dict[Protocol, list[int]] = {}
    for score in scores:
        protocol = Protocol.of(score)
        known = seeds.setdefault(replace(protocol, seed=0), [])
        if protocol.seed not in known:
            known.append(protocol.seed)
        yield Conditions(replace(protocol, seed=0), known.index(protocol.seed)), score


def _card(arms: Sequence[Arm], conditions: Conditions, cells: Sequence[Cell]) -> Html:
    metrics = list(dict.fromkeys(cell.metric for cell in cells))
    drawings = [_drawing(arms, metric, [c for c in cells if c.metric == metric]) for metric in _drawn_metrics(metrics)]
    several = any(len(cell.scores) > 1 for cell in cells)
    scores = [score for cell in cells for score in cell.scores]
    seeds = sorted({score.seed for score in scores})
    protocols = sorted({score.protocol for score in scores} - {"off"})
    named = f"protocol {', '.join(protocols)}; " if protocols else ""
    return tag(
        "article",
        tag("h3", conditions.protocol.task),
        *drawings,
        _table(arms, metrics, cells),
        _every_seed(arms, metrics, cells) if several else None,
        tag("p", named, conditions.protocol.in_words(seeds), class_="note"),
        class_="card",
    )


def _drawn_metrics(metrics: Sequence[str]) -> list[str]:
    """All of a few; of many, the first of each family at its largest k: avg@16, pass@16, maj@16."""
    if len(metrics) <= MAX_DRAWN:
        return list(metrics)
    largest: dict[str, str] = {}
    for metric in metrics:
        found = _AT_K.fullmatch(metric)
        family = found[1] if found else metric
        k = int(found[2]) if found else 0
        known = _AT_K.fullmatch(largest.get(family, ""))
        if known is None or k > int(known[2]):
            largest[family] = metric
    return list(largest.values())[:MAX_DRAWN]


def _drawing(arms: Sequence[Arm], metric: str, cells: Sequence[Cell]) -> Html:
    rows = []
    one_phase = len({cell.phase for cell in cells}) == 1
    for cell in cells:
        arm = arms[cell.arm]
        low, high = cell.bounds
        name, over = ("" if one_phase else cell.phase, arm.title) if len(arms) > 1 else ("", cell.phase)
        points = tuple(score.value for score in cell.scores) if len(cell.scores) > 1 else ()
        rows.append(Row(name, over, cell.mean, low, high, cell.text, cell.arm % NUM_STYLES, points))
    several = any(len(cell.scores) > 1 for cell in cells)
    what = "mean, and least to most of the seeds" if several else "with 95 % intervals"
    return interval_rows(f"{metric}, {what}", rows)


def _table(arms: Sequence[Arm], metrics: Sequence[str], cells: Sequence[Cell]) -> Html:
    rows: dict[tuple[int, str], dict[str, Cell]] = {}
    for cell in cells:
        rows.setdefault((cell.arm, cell.phase), {})[cell.metric] = cell
    shares = [name for name in _SHARES if any(getattr(s, name) is not None for c in cells for s in c.scores)]
    head = ("after", *metrics, *(_SHARES[name] for name in shares), "step", "generated", "trained")
    body = []
    one_phase = len({phase for _, phase in rows}) == 1
    for (arm, phase), of in rows.items():
        scores = next(iter(of.values())).scores
        values = [of[metric].text if metric in of else "-" for metric in metrics]
        budget = [_common([str(s.global_step) for s in scores])]
        budget += [short(fmean(getattr(s, name) for s in scores)) for name in ("generated_tokens", "trained_tokens")]
        name = phase if len(arms) == 1 else arms[arm].title if one_phase else f"{phase} · {arms[arm].title}"
        body.append((name, *values, *(_share(scores, share) for share in shares), *budget))
    several = any(len(cell.scores) > 1 for cell in cells)
    value = "mean (least to most of the seeds)" if several else "value [95 % interval]"
    return _as_table(f"{value}; tokens generated and trained on so far", head, body)


def _every_seed(arms: Sequence[Arm], metrics: Sequence[str], cells: Sequence[Cell]) -> Html:
    rows: dict[tuple[int, str, str], dict[str, Score]] = {}
    for cell in cells:
        for label, score in cell.of_run.items():
            rows.setdefault((cell.arm, cell.phase, label), {})[cell.metric] = score
    body = [
        (
            f"{phase} · {arms[arm].name}, {label}" if len(arms) > 1 else f"{phase}, {label}",
            *(with_interval(of[metric]) if metric in of else "-" for metric in metrics),
        )
        for (arm, phase, label), of in rows.items()
    ]
    return tag("details", tag("summary", "Every seed"), _as_table("value [95 % interval]", ("after", *metrics), body))


_SHARES = {"truncated": "truncated", "unparsable": "unparsable", "mean_length": "mean length"}


def _share(scores: Sequence[Score], name: str) -> str:
    known = [value for score in scores if (value := getattr(score, name)) is not None]
    if not known:
        return "-"
    return short(fmean(known)) if name == "mean_length" else f"{fmean(known):.1%}"


def _common(values: Sequence[str]) -> str:
    return values[0] if len(set(values)) == 1 else ", ".join(dict.fromkeys(values))


def _as_table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> Html:
    # A cell may break before its interval and not in it.
    whole = [
        (first, *(cell.replace(", ", ",\u00a0").replace(" to ", "\u00a0to\u00a0") for cell in of))
        for first, *of in rows
    ]
    return tag("div", tag("p", caption, class_="note"), labelled_table("scores", head, whole, flowing=True))


def _curve(label: str, steps: Sequence[int], seeds: Sequence[dict[int, Score]], style: int) -> Curve:
    values = [[of[step].value for of in seeds] for step in steps]
    if len(seeds) == 1:
        bounds = tuple(drawn_bounds(seeds[0][step]) for step in steps)
    else:
        bounds = tuple((min(column), max(column)) for column in values)
    return Curve(label, tuple(steps), tuple(map(fmean, values)), style, bounds=bounds)
