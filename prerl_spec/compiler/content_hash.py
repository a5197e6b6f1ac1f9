"""SHA-256 of local files and folders that settings name."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

ABSENT = "absent"


def fingerprint(path: Path) -> str:
    """SHA-256 of a file's bytes, or of a folder's relative names and bytes; "absent" for a missing path."""
    if path.is_file():
        return sha256(path.read_bytes()).hexdigest()
    if not path.is_dir():
        return ABSENT
    whole = sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        whole.update(f"{file.relative_to(path).as_posix()}\0{fingerprint(file)}\n".encode())
    return whole.hexdigest()


def paths_in(value: Any) -> Iterator[str]:
    """Every string of a setting that holds paths, in order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (p for inner in value.values() for p in paths_in(inner))
    elif isinstance(value, list | tuple):
        yield from (p for inner in value for p in paths_in(inner))
