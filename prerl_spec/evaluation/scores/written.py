"""Scores as a text table and as scores.json."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prerl_spec.errors import Damaged, UsageError
from prerl_spec.situations import writing
from prerl_spec.storage.disk import write_whole
from prerl_spec.storage.sealed import array_text, read_array
from prerl_spec.types import Score

_VARYING = ("value", "low", "high", "truncated", "unparsable", "mean_length", "tokens_scored", "interval")


def score_table(scores: Sequence[Score]) -> str:
    """One line per score: task, metric, value, 95 % interval, questions × responses."""
    heading = ("task", "metric", "value", "95 % interval", "questions × responses")
    rows = [
        (
            score.task,
            score.metric,
            f"{score.value:.4f}",
            score.bounds_text(),
            f"{score.questions} × {score.samples_per_question}",
        )
        for score in scores
    ]
    widths = [max(len(row[column]) for row in [heading, *rows]) for column in range(len(heading))]
    lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(r, widths, strict=True)) for r in [heading, *rows]]
    return "\n".join(line.rstrip() for line in lines)


def write_scores(file: Path, scores: Sequence[Score]) -> None:
    """Adds scores to the array in `file`, replacing those of the same conditions. Raises UsageError if the file exists
    but is not an array of scores."""
    rows = [score.as_row() for score in scores]
    replaced = {_conditions(row) for row in rows}
    kept = [row for row in _existing(file) if _conditions(row) not in replaced]
    with writing(file, "choose another --out"):
        write_whole(file, array_text([*kept, *rows]))


def _existing(file: Path) -> list[dict[str, Any]]:
    if not file.is_file():
        return []
    try:
        return read_array(file)
    except Damaged as error:
        raise UsageError(f"{error.message}", hint="choose another --out") from error


def _conditions(row: Mapping[str, Any]) -> str:
    found = {"protocol": "off", **row}
    return json.dumps({k: v for k, v in found.items() if k not in _VARYING}, sort_keys=True)
