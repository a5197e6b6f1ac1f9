"""Files of JSON lines that only ever grow: read and written on without the line that a kill tore."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from prerl_spec.engine.processes.disk_errors import translate_disk_errors


def append_lines(file: Path, entries: Iterable[Mapping[str, Any]]) -> None:
    """Writes entries at the end and syncs them. Raises RunFailed where the disk does not take them."""
    with translate_disk_errors(file.name), file.open("a", encoding="utf-8") as handle:
        handle.writelines(json.dumps(entry) + "\n" for entry in entries)
        handle.flush()
        os.fsync(handle.fileno())


def whole_lines(file: Path) -> list[str]:
    """The lines that were written to their end, none where there is no file."""
    if not file.is_file():
        return []
    return [line.decode("utf-8") for line in file.read_bytes().split(b"\n")[:-1]]


def cut_torn_line(file: Path) -> None:
    """Takes a torn last line off, in place; what is whole is never written again, so that no kill can lose it."""
    if not file.is_file():
        return
    content = file.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole != len(content):
        with file.open("r+b") as handle:
            handle.truncate(whole)
