"""Scores with their conditions: n, interval, seed, decoding, versions, template and token budget."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

from prerl_spec.report.drawing.markup import Html, join, tag
from prerl_spec.report.drawing.plots import NUM_STYLES, Curve, curve_chart
from prerl_spec.report.drawing.whiskers import Whisker, whisker_chart
from prerl_spec.report.formatting.scales import short
from prerl_spec.report.tables.run_tables import RunRecord
from prerl_spec.statistics.intervals import bounds_text
from prerl_spec.types import Score


@dataclass(frozen=True)
class Protocol:
    """The conditions of a score, except the weights: only scores of the same protocol share a chart."""

    task: str
    questions: int
    samples_per_question: int
    seed: int
    decoding: str
    harness: str
    task_version: str
    task_hash: str
    template_hash: str

    @classmethod
    def of(cls, score: Score) -> "Protocol":
        return cls(
            score.task,
            score.questions,
            score.samples_per_question,
            score.seed,
            decoding_words(score.decoding),
            score.harness,
            str(score.task_version),
            score.task_hash,
            score.template_hash,
        )

    def in_words(self) -> Html:
        """The protocol as text, shown under each chart."""
        n = self.questions * self.samples_per_question
        return join(
            [
                f"n = {self.questions} questions × {self.samples_per_question} samples = {n}; seed {self.seed}; ",
                f"{self.decoding}; {self.harness}; task version {self.task_version}, hash ",
                tag("code", self.task_hash[:12], title=self.task_hash),
                "; template ",
                tag("code", self.template_hash[:12], title=self.template_hash),
            ]
        )


def final_scores(scores: Sequence[Score]) -> list[Score]:
    """The score of the latest global step for each phase, task, metric and protocol, in the order of the file."""
    latest: dict[object, Score] = {}
    for score in scores:
        key = (score.phase, score.metric, Protocol.of(score))
        if key not in latest or score.global_step >= latest[key].global_step:
            latest[key] = score
    return list(latest.values())


def score_cards(runs: Sequence[RunRecord]) -> list[Html]:
    """One card per protocol: one chart per metric, a table with token budgets, and the protocol."""
    final = [(i, s) for i, run in enumerate(runs) for s in final_scores(run.scores)]
    cards = []
    for protocol in dict.fromkeys(Protocol.of(s) for _, s in final):
        members = _by_phase([(i, s) for i, s in final if Protocol.of(s) == protocol])
        metrics = list(dict.fromkeys(s.metric for _, s in members))
        drawings = [_drawing(runs, metric, [(i, s) for i, s in members if s.metric == metric]) for metric in metrics]
        cards.append(
            tag(
                "article",
                tag("h3", protocol.task),
                *drawings,
                _table(runs, metrics, members),
                tag("p", protocol.in_words(), class_="note"),
                class_="card",
            )
        )
    return cards


def score_curves(runs: Sequence[RunRecord]) -> list[Html]:
    """Curves over global steps, with intervals, for metrics that are also scored within phases (`every`)."""
    named: dict[tuple[Protocol, str], list[Curve]] = {}
    for index, run in enumerate(runs):
        num_phases = len({s.phase for s in run.scores})
        for key in dict.fromkeys((Protocol.of(s), s.metric) for s in run.scores):
            at = {s.global_step: s for s in run.scores if (Protocol.of(s), s.metric) == key}
            if len(at) > num_phases:
                label = key[1] if len(runs) == 1 else run.name
                named.setdefault(key, []).append(_curve(label, [at[k] for k in sorted(at)], index % NUM_STYLES))
    stretches = runs[0].stretches if len(runs) == 1 else ()
    return [
        curve_chart(f"{protocol.task}: {metric}", "over training", curves, stretches)
        for (protocol, metric), curves in named.items()
    ]


def _curve(label: str, scores: Sequence[Score], style: int) -> Curve:
    return Curve(
        label,
        tuple(s.global_step for s in scores),
        tuple(s.value for s in scores),
        style,
        bounds=tuple(_drawn_bounds(s) for s in scores),
    )


def _drawn_bounds(score: Score) -> tuple[float, float]:
    """The interval, or the value alone where there is none."""
    return (score.value, score.value) if isnan(score.low) else (score.low, score.high)


def decoding_words(decoding: Mapping[str, Any]) -> str:
    """`{"temperature": 1.0, "max_new_tokens": 110}` as "max_new_tokens 110, temperature 1.0"."""
    return ", ".join(
        f"{k} {v if isinstance(v, str) else json.dumps(v, sort_keys=True)}" for k, v in sorted(decoding.items())
    )


def _drawing(runs: Sequence[RunRecord], metric: str, members: Sequence[tuple[int, Score]]) -> Html:
    rows = [Whisker(_row_name(runs, index, s), s.value, *_drawn_bounds(s), index % NUM_STYLES) for index, s in members]
    caption = tag("figcaption", tag("strong", metric), " ", tag("span", "with 95 % intervals", class_="unit"))
    return tag("figure", caption, whisker_chart(metric, rows))


def _table(runs: Sequence[RunRecord], metrics: Sequence[str], members: Sequence[tuple[int, Score]]) -> Html:
    head = [tag("th", name) for name in ("after", *metrics, "step", "generated", "trained")]
    rows: dict[tuple[int, str], list[Score]] = {}
    for index, score in members:
        rows.setdefault((index, score.phase), []).append(score)
    body = []
    for (index, _), scores in rows.items():
        cells = {s.metric: f"{s.value:.3f} {bounds_text(s.low, s.high, 3)}" for s in scores}
        budget = (str(scores[0].global_step), short(scores[0].generated_tokens), short(scores[0].trained_tokens))
        body.append(
            tag(
                "tr",
                tag("th", _row_name(runs, index, scores[0])),
                *(tag("td", cells.get(metric, "-")) for metric in metrics),
                *(tag("td", value) for value in budget),
            )
        )
    caption = tag("p", "value [95 % interval]; tokens generated and trained on so far", class_="note")
    return tag("div", caption, tag("div", tag("table", tag("tr", *head), *body), class_="scroll"))


def _by_phase(members: Sequence[tuple[int, Score]]) -> list[tuple[int, Score]]:
    """Sorted by phase, with the runs adjacent within each phase, for comparison."""
    order = list(dict.fromkeys(s.phase for _, s in members))
    return sorted(members, key=lambda m: order.index(m[1].phase))


def _row_name(runs: Sequence[RunRecord], index: int, score: Score) -> str:
    return score.phase if len(runs) == 1 else f"{score.phase} · {runs[index].name}"
