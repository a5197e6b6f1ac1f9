"""Append-only files of JSON lines; an incomplete last line, torn by a kill, is ignored and removed."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from prerl_spec.engine.processes.disk_errors import translate_disk_errors


def append_lines(file: Path, entries: Iterable[Mapping[str, Any]]) -> None:
    """Appends entries and syncs the file. Raises RunFailed if they cannot be written."""
    with translate_disk_errors(file.name), file.open("a", encoding="utf-8") as handle:
        handle.writelines(json.dumps(entry) + "\n" for entry in entries)
        handle.flush()
        os.fsync(handle.fileno())


def whole_lines(file: Path) -> list[str]:
    """The complete lines of a file; none if there is no file."""
    if not file.is_file():
        return []
    return [line.decode("utf-8") for line in file.read_bytes().split(b"\n")[:-1]]


def cut_torn_line(file: Path) -> None:
    """Truncates the file to its complete lines, in place; these are never rewritten, so that no kill can lose them."""
    if not file.is_file():
        return
    content = file.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole != len(content):
        with file.open("r+b") as handle:
            handle.truncate(whole)
