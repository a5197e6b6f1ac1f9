"""Writes a run's journalled attempts as a Parquet file, one row an attempt, which `datasets` opens."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from prerl_spec.storage.journal_frames import read_step_entries
from prerl_spec.types import Attempt, Group

_TEXT, _INTEGER, _REAL = pyarrow.string(), pyarrow.int64(), pyarrow.float64()
SCHEMA = pyarrow.schema(
    [
        ("phase", _TEXT),
        ("step", _INTEGER),
        ("global_step", _INTEGER),
        ("refill", _INTEGER),
        ("slot", _INTEGER),
        ("sample", _INTEGER),
        ("data", _TEXT),
        ("row", _INTEGER),
        ("question", _TEXT),
        ("gold", _TEXT),
        ("response", _TEXT),
        ("stop", _TEXT),
        ("context", pyarrow.list_(pyarrow.int32())),
        ("tokens", pyarrow.list_(pyarrow.int32())),
        ("trained", pyarrow.list_(pyarrow.bool_())),
        ("logps", pyarrow.list_(_REAL)),
        ("entropies", pyarrow.list_(_REAL)),
        ("verdict", _TEXT),
        ("score", _REAL),
        ("answer", _TEXT),
        ("detail", _TEXT),
        ("reward", _REAL),
        ("parts", pyarrow.list_(pyarrow.struct([("name", _TEXT), ("value", _REAL)]))),
    ]
)
"""Token ids, log-probabilities (nats, the sampler's) and entropies are one per token; None where the sampler gave none.
`parts` are what the reward is the sum of; None where there is none, or where an earlier version has recorded the sum alone."""


def write_parquet(file: Path, steps: Sequence[Path], verdict: str | None = None) -> int:
    """Writes the attempts of these journal files, one row group a step, and returns their number.

    With `verdict`, only those of that outcome ("unverified": none yet). Raises Damaged, OSError.
    """
    count = 0
    partial = file.with_name(f".{file.name}.partial")
    try:
        with pyarrow.parquet.ParquetWriter(partial, SCHEMA) as writer:
            for step in steps:
                rows = [row for row in _rows(step) if verdict in (None, row["verdict"] or "unverified")]
                if rows:
                    writer.write_table(pyarrow.Table.from_pylist(rows, schema=SCHEMA))
                count += len(rows)
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
    return count


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    entries = read_step_entries(file)
    for group in entries.groups.values():
        for sample, attempt in enumerate(group.attempts):
            yield _row(entries.header, group, sample, attempt)


def _row(header: Mapping[str, Any], group: Group, sample: int, attempt: Attempt) -> dict[str, Any]:
    prompt, verdict = group.prompt, attempt.verdict
    return {
        **{key: header[key] for key in ("phase", "step", "global_step")},
        "refill": group.refill,
        "slot": group.slot,
        "sample": sample,
        "data": prompt.data,
        "row": prompt.row,
        "question": _valid(prompt.question),
        "gold": _valid(prompt.gold),
        "response": _valid(attempt.text),
        "stop": attempt.stop,
        "context": prompt.context,
        "tokens": attempt.tokens,
        "trained": attempt.trained,
        "logps": _per_token(attempt, "logps"),
        "entropies": _per_token(attempt, "entropies"),
        "verdict": None if verdict is None else str(verdict.outcome),
        "score": None if verdict is None else verdict.score,
        "answer": None if verdict is None else _valid(verdict.answer),
        "detail": None if verdict is None else _valid(verdict.detail),
        "reward": attempt.reward,
        "parts": [{"name": name, "value": value} for name, value in attempt.parts.items()] or None,
    }


def _per_token(attempt: Attempt, name: str) -> list[float | None] | None:
    parts = [getattr(segment, name) or [None] * len(segment.tokens) for segment in attempt.segments]
    values = [value for part in parts for value in part]
    return None if all(value is None for value in values) else values


def _valid(text: str | None) -> str | None:
    """Parquet holds UTF-8: half a surrogate becomes its escape."""
    return None if text is None else text.encode("utf-8", errors="backslashreplace").decode("utf-8")
