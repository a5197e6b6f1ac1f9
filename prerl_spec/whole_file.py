"""Writes text files atomically: a reader sees the whole file or none of it."""

import os
from pathlib import Path


def write_whole(file: Path, text: str) -> None:
    """Writes a UTF-8 file through a temporary file beside it and a rename, creating its folder if missing.

    Several processes may write the same content concurrently. Raises OSError.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(file)
