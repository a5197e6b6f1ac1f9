"""Writes responses to benchmarks as a Parquet file, one row a response."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from prerl_spec.report.tables.scored_responses import OF_A_RESPONSE, further_values

_INTEGERS = ("global_step", "question", "sample", "tokens")
_OF_FILE = ("phase", "global_step", "task")
SCHEMA = pyarrow.schema(
    [(name, pyarrow.int64() if name in _INTEGERS else pyarrow.string()) for name in (*_OF_FILE, *OF_A_RESPONSE, "more")]
)
"""`question` is the row, `id` the question as `questions/` names it; `more` holds a line's other keys as JSON, such as a
task's own metrics and the log-likelihoods of its options."""


def write_scored_parquet(file: Path, tables: Iterable[tuple[Mapping[str, Any], Iterable[Mapping[str, Any]]]]) -> int:
    """Writes the lines, a row group a file of responses, and returns their number. A table is (phase, global_step and task by
    name, lines). Raises OSError."""
    count = 0
    partial = file.with_name(f".{file.name}.partial")
    try:
        with pyarrow.parquet.ParquetWriter(partial, SCHEMA) as writer:
            for place, lines in tables:
                rows = [_row(place, line) for line in lines]
                if rows:
                    writer.write_table(pyarrow.Table.from_pylist(rows, schema=SCHEMA))
                count += len(rows)
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
    return count


def _row(place: Mapping[str, Any], line: Mapping[str, Any]) -> dict[str, Any]:
    own = {name: _plain(name, line.get(name)) for name in OF_A_RESPONSE}
    return {**{name: place[name] for name in _OF_FILE}, **own, "more": further_values(line) or None}


def _plain(name: str, value: Any) -> Any:
    if value is None or name in _INTEGERS:
        return value
    # Parquet holds UTF-8: half a surrogate becomes its escape.
    return str(value).encode("utf-8", errors="backslashreplace").decode("utf-8")
