"""Rows of our own benchmarks, from a local JSON Lines file or the hub, with columns `problem` and `answer`."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from prerl_spec.errors import EnvironmentUnmet

QUESTION_COLUMNS = ("problem", "question")
_SHOWN = 10


def file_rows(task: str, file: Path, check_gold: Callable[[str], str | None] | None) -> list[dict[str, str]]:
    """Reads a JSON Lines file with columns `problem` (or `question`) and `answer`.

    Raises EnvironmentUnmet, with file and line, for a row that lacks one of them and for a gold answer that
    `check_gold` rejects.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise EnvironmentUnmet(
            f"the rows of {task} cannot be read: {file}: {error}", hint=_local_rows_hint(task)
        ) from error
    rows, wrong = [], []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = question_and_answer(json.loads(line))
        except ValueError as error:
            wrong.append(f"{file}:{number}: {error}")
            continue
        if check_gold is not None and (why := check_gold(row["answer"])) is not None:
            wrong.append(f"{file}:{number}: {why}")
        rows.append(row)
    if wrong:
        raise EnvironmentUnmet(f"{task}: {len(wrong)} rows cannot be used\n{_listed(wrong)}", hint="fix these rows")
    if not rows:
        raise EnvironmentUnmet(f"{file} contains no rows for {task}", hint=_local_rows_hint(task))
    return rows


def hub_rows(task: str, path: str, split: str) -> list[dict[str, str]]:
    """Reads a hub data set. Raises EnvironmentUnmet if it is unreachable."""
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError

    try:
        data: Iterable[Mapping[str, Any]] = load_dataset(path, split=split)
    except (OSError, ValueError, DatasetsError) as error:
        raise EnvironmentUnmet(
            f"{task}: the data set {path} cannot be reached: {error}", hint=_local_rows_hint(task)
        ) from error
    return [question_and_answer(row) for row in data]


def question_and_answer(row: Any) -> dict[str, str]:
    """The two columns that a verified task reads, as text. Raises ValueError where one is missing or empty."""
    if not isinstance(row, Mapping):
        raise ValueError("not a JSON object")
    question = next((row[column] for column in QUESTION_COLUMNS if column in row), None)
    answer = row.get("answer")
    if not isinstance(question, str) or not question.strip():
        raise ValueError('no text in "problem" (or "question")')
    if isinstance(answer, bool) or not isinstance(answer, str | int | float) or not str(answer).strip():
        raise ValueError('no text or number in "answer"')
    return {"problem": question, "answer": str(answer)}


def _local_rows_hint(task: str) -> str:
    return f'provide local rows: data = {{ {task} = "rows.jsonl" }}, or --data {task}=rows.jsonl on the command line'


def _listed(lines: list[str]) -> str:
    shown = "\n".join(f"  {line}" for line in lines[:_SHOWN])
    return shown if len(lines) <= _SHOWN else f"{shown}\n  ... and {len(lines) - _SHOWN} more"
