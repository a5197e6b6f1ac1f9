"""A benchmark's row becomes a question and a gold answer, whatever its columns are called."""

import json
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prerl_spec.json_lines import UnreadableLine, text_fault

NO_OBJECT = "not a JSON object"
QUESTION_COLUMNS = ("problem", "question")
"""Names of a question's column in local rows of any benchmark."""
LETTERS = "ABCDEFGHIJ"
_ASKED = "Put the letter of the right option in \\boxed{}."


@dataclass(frozen=True)
class Columns:
    """Where a benchmark's rows have question and answer: `Columns("question", "answer", after="####")`.

    `after` is a text in the answer; what follows its last occurrence is the gold answer. `wrong` are the columns of wrong
    options: the question is then followed by all options in an order that hangs on `seed` and the question alone, and the
    gold answer is a letter.
    """

    question: str = "problem"
    answer: str = "answer"
    after: str = ""
    wrong: tuple[str, ...] = ()
    seed: int = 0


def question_and_answer(row: Any, columns: Columns | None = None) -> dict[str, str]:
    """The columns `problem` and `answer` of a verified task, as text.

    Rows with `problem` (or `question`) and `answer` are read in any case, so that local rows need no other names. Raises
    ValueError where a column is missing, empty or no text.
    """
    if isinstance(row, UnreadableLine):
        raise ValueError(row.reason)
    if not isinstance(row, Mapping):
        raise ValueError(NO_OBJECT)
    if columns is not None and columns.wrong and columns.answer in row:
        return _with_options(row, columns)
    question = next((row[name] for name in _names(columns, "question") if name in row), None)
    answer = next((row[name] for name in _names(columns, "answer") if name in row), None)
    if isinstance(answer, list) and answer and all(isinstance(part, str) for part in answer):
        answer = ", ".join(answer)
    if columns is not None and columns.after and isinstance(answer, str) and columns.after in answer:
        answer = answer.rpartition(columns.after)[2].strip()
    if not isinstance(question, str) or not question.strip():
        raise ValueError(f"no text in {_in_words(_names(columns, 'question'))}")
    if isinstance(answer, bool) or not isinstance(answer, str | int | float) or not str(answer).strip():
        raise ValueError(f"no text or number in {_in_words(_names(columns, 'answer'))}")
    if isinstance(answer, float) and not math.isfinite(answer):
        raise ValueError(f'"answer" is {answer}, expected text or a number')
    for text in (question, str(answer)):
        _require_text(text)
    return {"problem": question, "answer": str(answer)}


def _with_options(row: Mapping[str, Any], columns: Columns) -> dict[str, str]:
    """A question of several options, with the letter of the right one."""
    for name in (columns.question, columns.answer, *columns.wrong):
        if not isinstance(row.get(name), str) or not row[name].strip():
            raise ValueError(f'no text in "{name}"')
        _require_text(row[name])
    question = row[columns.question].strip()
    order = [columns.answer, *columns.wrong]
    # Seeded by the text: the order is the same in every run, and does not hang on the rows around it.
    random.Random(f"{columns.seed}:{question}").shuffle(order)
    options = [f"({letter}) {row[name].strip()}" for letter, name in zip(LETTERS, order, strict=False)]
    return {
        "problem": "\n".join([question, "", *options, "", _ASKED]),
        "answer": LETTERS[order.index(columns.answer)],
    }


def _names(columns: Columns | None, what: str) -> tuple[str, ...]:
    own = () if columns is None else (getattr(columns, what),)
    plain = QUESTION_COLUMNS if what == "question" else ("answer",)
    return tuple(dict.fromkeys((*own, *plain)))


def _in_words(names: tuple[str, ...]) -> str:
    """`"problem" (or "question")`."""
    first, *others = names if names[:1] != ("question",) else QUESTION_COLUMNS
    return f'"{first}"' + "".join(f' (or "{name}")' for name in others)


def _require_text(text: str) -> None:
    if (fault := text_fault(text)) is not None:
        raise ValueError(f"{json.dumps(text)} {fault}")
