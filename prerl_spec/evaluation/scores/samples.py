"""Every response of an evaluation with its verdict and the answer that was found in it, as JSON Lines: for reading, and for
other programs."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from prerl_spec.storage.disk import write_whole
from prerl_spec.types import Generation, Verdict

FOLDER = "samples"
"""Beside `questions`; a file has the name of the questions that its responses belong to."""


def sample_line(
    question: str,
    row: int,
    sample: int,
    asked: str,
    gold: str,
    text: str,
    generation: Generation,
    verdict: Verdict | None,
) -> dict[str, Any]:
    """One response: the id of its question (as in the file of questions), its row and its number among the responses to it,
    input, text, stop reason, and the verdict (None where nothing says whether it is right)."""
    return {
        "id": question,
        "question": row,
        "sample": sample,
        "input": asked,
        "gold": gold,
        "response": text,
        "tokens": len(generation.tokens),
        "stop": generation.stop,
        "verdict": None if verdict is None else str(verdict.outcome),
        "answer": None if verdict is None else verdict.answer,
        "detail": "" if verdict is None else verdict.detail,
    }


def write_samples(file: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """Writes the lines atomically; writes no file if there are none. Raises OSError."""
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    if text:
        write_whole(file, text)
