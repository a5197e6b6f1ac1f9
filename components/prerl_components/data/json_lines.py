"""Reads a JSONL file line by line, without stopping at the first invalid line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from prerl_components.data.rows import BadRow, TableRows, collect
from prerl_components.data.table import TableSettings
from prerl_spec.sdk import EnvironmentUnmet


def open_jsonl(table: TableSettings, path: Path, name: str) -> TableRows:
    """The rows of the file, for the data set `name` of the spec.

    Raises EnvironmentUnmet for a file or rows that cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EnvironmentUnmet(
            f"data `{name}`: cannot read {path}: {error.strerror}", hint="create the file, or change `path`"
        ) from error
    return collect(table, name, str(path), _lines(content, path.name))


def _lines(content: bytes, file: str) -> Iterator[tuple[str, Any]]:
    """Yields (place, value or BadRow) for each line; only a line feed ends a line, as in `wc -l`."""
    lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    while lines and not lines[-1].strip():
        lines.pop()
    for number, line in enumerate(lines, start=1):
        yield f"{file}:{number}", _value(line)


def _value(line: bytes) -> Any:
    if not line.strip():
        return BadRow("an empty line")
    try:
        return json.loads(line.decode(), parse_constant=_refuse)
    except UnicodeDecodeError as error:
        return BadRow(f"not UTF-8 at byte {error.start + 1} of the line")
    except json.JSONDecodeError as error:
        return BadRow(f"not JSON: {error.msg} at column {error.colno}")
    except (ValueError, RecursionError) as error:
        return BadRow(f"not JSON: {error}")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON value")
