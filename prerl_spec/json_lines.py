"""Reads JSON Lines files of users, for training data and evaluators alike, without stopping at the first invalid line."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class UnreadableLine:
    """A line without a JSON value, and why: `UnreadableLine("not UTF-8 at byte 7 of the line")`."""

    reason: str


BLANK = UnreadableLine("an empty line")
"""A blank line between others."""


def read_json_lines(file: Path) -> Iterator[tuple[str, Any]]:
    """Yields (place, value or UnreadableLine) for each line: ("rows.jsonl:3", {"answer": "7"}).

    UTF-8, with or without a byte-order mark. Only a line feed ends a line, as in `wc -l`: U+2028 and the like are text.
    Blank lines at the end are no lines. NaN, Infinity and numbers beyond float64 are not JSON, and an object with a key
    twice is unreadable: whichever value a reader keeps, it drops the other without a word. Raises OSError.
    """
    for number, line in enumerate(_lines(file), start=1):
        yield f"{file.name}:{number}", _value(line)


def count_json_lines(file: Path) -> int:
    """The number of lines that are not blank. Raises OSError."""
    return sum(bool(line.strip()) for line in _lines(file))


def text_fault(text: str) -> str | None:
    """Why a string of a JSON value is no text: half of a surrogate pair (`"\\ud83d"`) has no encoding; else None."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"contains half of a surrogate pair at character {error.start}"
    return None


def _lines(file: Path) -> list[bytes]:
    lines = file.read_bytes().removeprefix(BYTE_ORDER_MARK).split(b"\n")
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def _value(line: bytes) -> Any:
    if not line.strip():
        return BLANK
    try:
        return json.loads(
            line.decode(), parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_with_each_key_once
        )
    except UnicodeDecodeError as error:
        return UnreadableLine(f"not UTF-8 at byte {error.start + 1} of the line")
    except json.JSONDecodeError as error:
        return UnreadableLine(f"not JSON: {error.msg} at column {error.colno}")
    except _KeyTwice as error:
        return UnreadableLine(str(error))
    except (ValueError, RecursionError) as error:
        return UnreadableLine(f"not JSON: {error}")


class _KeyTwice(Exception):
    """An object has a key twice; caught where the line is read."""


def _with_each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _KeyTwice(f"the key {json.dumps(twice)} stands {keys.count(twice)} times in one object")
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON value")


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"{number} is larger than any float64")
    return value
