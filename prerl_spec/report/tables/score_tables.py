"""The scores of one or several models as a table: for the terminal, for papers, for spreadsheets and programs."""

import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prerl_spec.evaluation.scores.at_k import CONSENSUS
from prerl_spec.report.formatting.decoding import sampled_words
from prerl_spec.report.formatting.paper_text import in_latex, in_markdown, latex_row, markdown_row
from prerl_spec.report.formatting.printable import printable
from prerl_spec.report.tables.equal_scores import each_once
from prerl_spec.types import Score

FORMAT = 1
"""Of the JSON form."""
HASH_DIGITS = 12
_RIGHT = {"value", "truncated", "unparsable", "mean tokens"}


@dataclass(frozen=True)
class ScoredModel:
    """A model's scores: `ScoredModel("dsrl", "runs/dsrl", "eval-models/dsrl", scores)`."""

    name: str
    target: str
    folder: str
    scores: Sequence[Score]


def shown_scores(scores: Sequence[Score]) -> list[Score]:
    """The scores that a table for people shows: without pass@1 beside the avg@n that it equals, and without G-Pass@k."""
    return [score for score in each_once(scores) if not score.metric.startswith(CONSENSUS)]


def as_text(models: Sequence[ScoredModel]) -> str:
    """Aligned columns, a line a score; below them the conditions under which they were taken."""
    heading, rows = _columns(models)
    cells = [heading, *([printable(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heading))]
    lines = ("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in cells)
    return "\n".join([*(line.rstrip() for line in lines), "", *(printable(one) for one in conditions(models))])


def as_markdown(models: Sequence[ScoredModel]) -> str:
    """A table, and the conditions below it."""
    heading, rows = _columns(models)
    rule = ["---:" if name in _RIGHT else "---" for name in heading]
    return "\n".join(
        [
            markdown_row(heading),
            markdown_row(rule),
            *(markdown_row(map(in_markdown, row)) for row in rows),
            "",
            "\n\n".join(in_markdown(one) for one in conditions(models)),
        ]
    )


def as_latex(models: Sequence[ScoredModel]) -> str:
    r"""A `tabular` with booktabs rules, and the conditions below it; it needs \usepackage{booktabs} and UTF-8."""
    heading, rows = _columns(models)
    aligned = "".join("r" if name in _RIGHT else "l" for name in heading)
    return "\n".join(
        [
            r"% \usepackage{booktabs}",
            rf"\begin{{tabular}}{{@{{}}{aligned}@{{}}}}",
            r"\toprule",
            latex_row(map(in_latex, heading)),
            r"\midrule",
            *(latex_row(map(in_latex, row)) for row in rows),
            r"\bottomrule",
            r"\end{tabular}",
            r"\par\smallskip",
            "\n\n".join(in_latex(one) for one in conditions(models)),
        ]
    )


def conditions(models: Sequence[ScoredModel]) -> list[str]:
    """A sentence for each way in which scores were taken: how sampled, from which seed, by which version of harness and tasks.
    With several ways each names its models."""
    taken: dict[str, dict[str, dict[str, None]]] = {}
    for model in models:
        for score in model.scores:
            how = f"{sampled_words(score.decoding)}; seed {score.seed}; {score.harness}"
            hashes = f"hash {score.task_hash[:HASH_DIGITS]}, template {score.template_hash[:HASH_DIGITS]}"
            task = f"{score.task} version {score.task_version} ({hashes})"
            taken.setdefault(how, {}).setdefault(task, {})[model.name] = None
    everyone = {model.name: None for model in models}
    return [
        f"{how}: {'; '.join(_whose(task, of, everyone) for task, of in tasks.items())}" for how, tasks in taken.items()
    ]


def _whose(task: str, names: Mapping[str, None], everyone: Mapping[str, None]) -> str:
    return task if names == everyone else f"{task} of {', '.join(names)}"


def as_csv(models: Sequence[ScoredModel]) -> str:
    """Everything that a score states, a line a score; what does not exist is empty, a decoding's settings are columns."""
    rows = [{"model": model.name, **_flat(score)} for model in models for score in model.scores]
    columns = dict.fromkeys(name for row in rows for name in row)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_json(models: Sequence[ScoredModel]) -> str:
    """An object with the models, each with its scores as scores.json has them."""
    shown = [
        {"name": m.name, "target": m.target, "folder": m.folder, "scores": [score.as_row() for score in m.scores]}
        for m in models
    ]
    return json.dumps({"format": FORMAT, "models": shown}, indent=1, allow_nan=False)


Form = Callable[[Sequence[ScoredModel]], str]

FORMS: Mapping[str, Form] = {
    "text": as_text,
    "csv": as_csv,
    "markdown": as_markdown,
    "latex": as_latex,
    "json": as_json,
}
ENDINGS = {".txt": "text", ".csv": "csv", ".md": "markdown", ".tex": "latex", ".json": "json"}


def form_of_file(file: Path) -> Form | None:
    """The form that a file's ending names; None for another ending."""
    form = ENDINGS.get(file.suffix)
    return None if form is None else FORMS[form]


def _columns(models: Sequence[ScoredModel]) -> tuple[list[str], list[list[str]]]:
    """Heading and rows for people: columns that would be empty, or the same dash everywhere, are left out."""
    found = [(model, score) for model in models for score in shown_scores(model.scores)]
    named: dict[str, list[str]] = {
        "model": [model.name for model, _ in found] if len(models) > 1 else [],
        "task": [score.task for _, score in found],
        "metric": [score.metric for _, score in found],
        "value": [f"{score.value:.4f}" for _, score in found],
        "95 % interval": [_interval(score) for _, score in found],
        "questions × responses": [f"{score.questions} × {score.samples_per_question}" for _, score in found],
        "protocol": _unless_all([score.protocol for _, score in found], "off"),
        "few-shot examples": _unless_all([score.fewshot for _, score in found], "task"),
        "truncated": _known([score.truncated for _, score in found], "{:.1%}"),
        "unparsable": _known([score.unparsable for _, score in found], "{:.1%}"),
        "mean tokens": _known([score.mean_length for _, score in found], "{:.1f}"),
    }
    kept = {name: cells for name, cells in named.items() if cells or not found}
    if len(models) <= 1:
        kept.pop("model", None)
    return list(kept), [list(row) for row in zip(*kept.values(), strict=True)]


def _interval(score: Score) -> str:
    if not (math.isfinite(score.low) and math.isfinite(score.high)):
        return "none"
    return f"[{score.low:.4f}, {score.high:.4f}]"


def _unless_all(cells: list[str], usual: str) -> list[str]:
    return [] if set(cells) <= {usual} else cells


def _known(values: Sequence[float | None], form: str) -> list[str]:
    if all(value is None for value in values):
        return []
    return ["–" if value is None else form.format(value) for value in values]


def _flat(score: Score) -> dict[str, Any]:
    row = score.as_row()
    decoding = row.pop("decoding")
    flat = {**row, **{name: " ".join(value) if name == "stop" else value for name, value in decoding.items()}}
    return {name: "" if value is None else value for name, value in flat.items()}
