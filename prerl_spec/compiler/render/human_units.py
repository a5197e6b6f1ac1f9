"""Formats numbers for people: durations, bytes, counts."""

import textwrap
from collections.abc import Iterable

WIDTH = 110


def duration(seconds: float) -> str:
    """ "0.13 s", "85 s", "12 min", "5 h 20 min", "3 days 4 h"."""
    if seconds < 10:
        return f"{seconds:.2g} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} days {hours % 24} h"


def size(num_bytes: float) -> str:
    """ "19 MiB", "3.2 GiB"."""
    if num_bytes < 2**30:
        return f"{num_bytes / 2**20:.0f} MiB" if num_bytes >= 10 * 2**20 else f"{num_bytes / 2**20:.1f} MiB"
    return f"{num_bytes / 2**30:.1f} GiB"


def count(number: float) -> str:
    """ "65,536", "1.2 M", "3.4 G"; for parameters and tokens."""
    for unit, name in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if number >= unit:
            return f"{number / unit:.3g} {name}"
    return f"{number:,.0f}"


def plural(number: int, noun: str) -> str:
    """ "1 step", "2 steps", "65,536 rows"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def line(label: str, text: str, *, indent: int = 2, column: int = 15) -> list[str]:
    """A labelled line, wrapped with a hanging indent."""
    head = " " * indent + f"{label:<{column - indent}}"
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=head,
        subsequent_indent=" " * column,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [head.rstrip()]


def table(rows: Iterable[tuple[str, ...]], *, indent: int = 2) -> list[str]:
    """Rows with aligned columns; the last column is not padded."""
    rows = list(rows)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)] if rows else []
    return [
        " " * indent
        + "  ".join([*(f"{cell:<{w}}" for cell, w in zip(row[:-1], widths, strict=True)), row[-1]]).rstrip()
        for row in rows
    ]
