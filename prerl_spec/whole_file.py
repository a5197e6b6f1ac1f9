"""Text files that readers see complete or not at all."""

import os
from pathlib import Path


def write_whole(file: Path, text: str) -> None:
    """Writes a file in UTF-8, its folder where that is missing: beside it first, then renamed over it.

    Several processes may write the same content at once. Raises OSError.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(file)
