"""Chained lines that are written whole: the first is a header, which says how many follow, so that a missing end is found."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from prerl_spec.errors import Damaged
from prerl_spec.storage.chained_lines import chained, first_line, read_lines
from prerl_spec.storage.checks import START
from prerl_spec.storage.disk import write_whole

COUNT = "lines"
"""Key of a header: the number of lines after it."""


def write_counted(file: Path, header: Mapping[str, Any], entries: Iterable[Mapping[str, Any]]) -> None:
    """Writes the file durably and atomically. Raises OSError."""
    write_whole(file, counted_text(header, entries))


def counted_text(header: Mapping[str, Any], entries: Iterable[Mapping[str, Any]]) -> bytes:
    """The content of the file; the count is the header's last key."""
    lines, head, text = list(entries), START, bytearray()
    for entry in ({**header, COUNT: len(lines)}, *lines):
        line, head = chained(entry, head)
        text += line
    return bytes(text)


def read_counted(file: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The header, with its count, and the lines. Raises OSError; Damaged for any changed byte, naming file and line."""
    if not file.is_file():
        raise FileNotFoundError(f"{file} is missing")
    found = read_lines(file)
    if not found.entries or COUNT not in found.entries[0]:
        raise Damaged(f"{file}:1: no whole header", file=file)
    header, *entries = found.entries
    if found.torn or len(entries) != header[COUNT]:
        raise Damaged(
            f"{file}:{len(found.entries)}: {len(entries)} whole lines follow the header, which counts {header[COUNT]}",
            file=file,
        )
    return header, entries


def read_header(file: Path) -> dict[str, Any]:
    """The header alone, checked. Raises OSError, Damaged."""
    return first_line(file)
