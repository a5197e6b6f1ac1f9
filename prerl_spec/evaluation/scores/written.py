"""Scores as scores.json."""

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
    found = {"protocol": "off", "fewshot": "task", **row}
    return json.dumps({k: v for k, v in found.items() if k not in _VARYING}, sort_keys=True)
