"""Strict reading of a table's rows: each is a question with a gold answer, a document, or an error with its place."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from prerl_components.data.table import TableSettings
from prerl_components.verifiers.boxed import last_boxed
from prerl_spec.sdk import (
    Code,
    Diagnostic,
    EnvironmentUnmet,
    Rendering,
    Row,
    SpecInvalid,
    TemplateFault,
    question_texts,
    text_fault,
)

MAX_SHOWN = 10

KINDS = {dict: "a table", list: "a list", bool: "a boolean", int: "a number", float: "a number", type(None): "null"}


class BadRow(Exception):
    """The reason why a row cannot be read; caught by this module's callers."""


@dataclass(frozen=True)
class TableRows:
    """A DataSet whose rows are held in memory; `unreadable` names the rows that were skipped: "rows.jsonl:7: not JSON"."""

    rows: tuple[Row, ...]
    rendering: Rendering
    max_prompt_tokens: int | None
    over_long: Literal["error", "drop"]
    on_bad_row: Literal["error", "drop"]
    fingerprint: str
    unreadable: tuple[str, ...] = ()

    @property
    def dropped(self) -> int:
        return len(self.unreadable)

    def __len__(self) -> int:
        return len(self.rows)

    def row(self, index: int) -> Row:
        return self.rows[index]


def collect(settings: TableSettings, name: str, source: str, items: Iterable[tuple[str, Any]]) -> TableRows:
    """All rows of a source, from (place, value) pairs; a value may be a BadRow found by the reader.

    Raises EnvironmentUnmet with a list of the unreadable rows, or if the source has no rows; SpecInvalid (E0202) for a
    template that fails on every row, or at too great a cost.
    """
    read: list[Row | str] = []
    for where, value in items:
        try:
            read.append(read_row(settings, where, value))
        except BadRow as reason:
            read.append(f"{where}: {reason}")
    if settings.template is not None:
        read = list(_filled(settings, name, read))
    rows = [row for row in read if isinstance(row, Row)]
    bad = [reason for reason in read if isinstance(reason, str)]
    if bad and settings.on_bad_row == "error":
        more = [f"... and {len(bad) - MAX_SHOWN} more"] if len(bad) > MAX_SHOWN else []
        raise EnvironmentUnmet(
            "\n  ".join([f"data `{name}`: {counted_unreadable(len(bad))} in {source}", *bad[:MAX_SHOWN], *more]),
            hint='fix these rows, or skip them with on_bad_row = "drop"',
        )
    if not rows:
        dropped = f": all {len(bad)} were unreadable, the first {bad[0]}" if bad else ""
        raise EnvironmentUnmet(f"data `{name}`: no rows in {source}{dropped}", hint="a data set needs at least one row")
    return TableRows(
        rows=tuple(rows),
        rendering=settings.rendering,
        max_prompt_tokens=settings.max_prompt_tokens,
        over_long=settings.over_long,
        on_bad_row=settings.on_bad_row,
        fingerprint=_fingerprint(rows, settings.rendering),
        unreadable=tuple(bad),
    )


def counted_unreadable(number: int) -> str:
    return "1 unreadable row" if number == 1 else f"{number} unreadable rows"


def read_row(settings: TableSettings, where: str, value: Any) -> Row:
    """One row, read from the columns named in the settings. Raises BadRow."""
    if isinstance(value, BadRow):
        raise value
    if not isinstance(value, Mapping):
        raise BadRow(f"{KINDS.get(type(value), 'a string')}, expected an object")
    is_document = settings.document != "off"
    may_lack_question = is_document or settings.template is not None
    return Row(
        where,
        question=None
        if may_lack_question and value.get(settings.question) is None
        else _text(value, settings.question),
        gold=None if is_document and value.get(settings.answer) is None else _gold(settings, value),
        document=_text(value, settings.document) if is_document else None,
        fields=value,
    )


def _text(row: Mapping[str, Any], column: str) -> str:
    if column not in row:
        raise BadRow(f'no key "{column}"' + (f" (keys: {', '.join(map(str, row))})" if row else ""))
    value = row[column]
    if not isinstance(value, str):
        raise BadRow(f'"{column}" is {KINDS.get(type(value), type(value).__name__)}, expected text')
    if not value.strip():
        raise BadRow(f'"{column}" is empty')
    if (fault := text_fault(value)) is not None:
        raise BadRow(f'"{column}" {fault}')
    return value


def _gold(settings: TableSettings, row: Mapping[str, Any]) -> str:
    value = row.get(settings.answer)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        row = {settings.answer: json.dumps(value)}
    answer = _text(row, settings.answer).strip()
    if settings.extract == "whole":
        return answer
    if settings.extract == "last_boxed":
        boxed = last_boxed(answer)
        if not boxed:
            raise BadRow(f'"{settings.answer}" contains no \\boxed{{…}}')
        return boxed
    marker = settings.extract.removeprefix("after:")
    _, found, rest = answer.rpartition(marker)
    if not found:
        raise BadRow(f'"{settings.answer}" does not contain {json.dumps(marker, ensure_ascii=False)}')
    if not rest.strip():
        raise BadRow(f'"{settings.answer}" is empty after its last {json.dumps(marker, ensure_ascii=False)}')
    return rest.strip()


def _filled(settings: TableSettings, name: str, read: Sequence[Row | str]) -> Iterator[Row | str]:
    """What was read, with a reason in the place of each row that the template makes no question of."""
    rows = [row for row in read if isinstance(row, Row)]
    questions = question_texts(rows, settings.rendering)
    faults = [(row, q) for row, q in zip(rows, questions, strict=False) if isinstance(q, TemplateFault)]
    # A column that is missing is the row's fault; what fails on every row, or takes for ever, is the template's.
    final = [(row, fault) for row, fault in faults if fault.is_final]
    if final or (len(faults) == len(rows) and any(fault.kind != "undefined" for _, fault in faults)):
        row, fault = (final or faults)[0]
        path = f"data.{name}.template"
        raise SpecInvalid([Diagnostic(Code.CONSTRAINT_BROKEN, f"{row.where}: {fault}", path=path)])
    filled = iter(questions)
    for row_or_reason in read:
        if isinstance(row_or_reason, str) or (reason := _unfit(next(filled))) is None:
            yield row_or_reason
        else:
            yield f"{row_or_reason.where}: {reason}"


def _unfit(question: str | TemplateFault) -> str | None:
    """Why a rendered template is no question, None if it is one."""
    if isinstance(question, TemplateFault):
        return str(question)
    if not question.strip():
        return "the template renders an empty question"
    fault = text_fault(question)
    return None if fault is None else f"the question that the template renders {fault}"


def _fingerprint(rows: Sequence[Row], rendering: Rendering) -> str:
    """SHA-256 over questions, gold answers and documents; unused columns are excluded."""
    digest = sha256()
    questions = [row.question for row in rows] if rendering.template is None else question_texts(rows, rendering)
    for row, question in zip(rows, questions, strict=True):
        digest.update(json.dumps([question, row.gold, row.document]).encode())
    return digest.hexdigest()
