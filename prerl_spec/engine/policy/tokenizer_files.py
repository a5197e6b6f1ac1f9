"""The tokenizer that a data set brings, as the folder from which a model reads it."""

from collections.abc import Mapping
from pathlib import Path

from prerl_spec.errors import EnvironmentUnmet
from prerl_spec.registry.kinds import Data
from prerl_spec.whole_file import write_whole


def tokenizer_files(name: str, data: Data) -> Mapping[str, str]:
    """The files of the data set `name`, by name. Raises EnvironmentUnmet for one that brings no tokenizer."""
    files = data.tokenizer_files()
    if files is None:
        raise EnvironmentUnmet(
            f"data.{name} brings no tokenizer", hint='write a folder or hub name as tokenizer, not "data:…"'
        )
    return files


def write_tokenizer(files: Mapping[str, str], folder: Path) -> None:
    """Writes files by name into a folder, each whole or not at all. Raises OSError."""
    for name, content in files.items():
        write_whole(folder / name, content)
