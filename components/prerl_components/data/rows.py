"""Strict reading of a table's rows: each is a question with a gold answer, a document, or an error with its place."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Literal

from prerl_components.data.table import TableSettings
from prerl_components.verifiers.boxed import last_boxed
from prerl_spec.sdk import EnvironmentUnmet, PrerlError, Rendering, Row, question_text, text_fault

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

    Raises EnvironmentUnmet with a list of the unreadable rows, or if the source has no rows.
    """
    rows: list[Row] = []
    bad: list[str] = []
    for where, value in items:
        try:
            rows.append(read_row(settings, where, value))
        except BadRow as reason:
            bad.append(f"{where}: {reason}")
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
    row = Row(
        where,
        question=None
        if may_lack_question and value.get(settings.question) is None
        else _text(value, settings.question),
        gold=None if is_document and value.get(settings.answer) is None else _gold(settings, value),
        document=_text(value, settings.document) if is_document else None,
        fields=value,
    )
    if settings.template is not None:
        _render(row, settings.rendering)
    return row


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


def _render(row: Row, rendering: Rendering) -> str:
    try:
        text = question_text(row, rendering)
    except PrerlError as error:
        causes = [d.message for d in getattr(error, "diagnostics", ())]
        raise BadRow("; ".join(causes) or error.message) from error
    if not text.strip():
        raise BadRow("the template renders an empty question")
    if (fault := text_fault(text)) is not None:
        raise BadRow(f"the question that the template renders {fault}")
    return text


def _fingerprint(rows: Iterable[Row], rendering: Rendering) -> str:
    """SHA-256 over questions, gold answers and documents; unused columns are excluded."""
    digest = sha256()
    for row in rows:
        question = row.question if rendering.template is None else question_text(row, rendering)
        used = replace(row, where="", question=question, fields={})
        digest.update(json.dumps([used.question, used.gold, used.document]).encode())
    return digest.hexdigest()
