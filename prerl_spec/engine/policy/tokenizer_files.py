"""The tokenizer that a data set provides, as a folder from which a model loads it."""

from collections.abc import Mapping
from pathlib import Path

from prerl_spec.errors import EnvironmentUnmet
from prerl_spec.registry.kinds.data import Data
from prerl_spec.storage.disk import write_whole


def tokenizer_files(name: str, data: Data) -> Mapping[str, str]:
    """The tokenizer files of data set `name`, by file name. Raises EnvironmentUnmet if it provides no tokenizer."""
    files = data.tokenizer_files()
    if files is None:
        raise EnvironmentUnmet(
            f"data.{name} provides no tokenizer", hint='set tokenizer to a folder or hub name, not "data:…"'
        )
    return files


def write_tokenizer(files: Mapping[str, str], folder: Path) -> None:
    """Writes the files into a folder, each atomically. Raises OSError."""
    for name, content in files.items():
        write_whole(folder / name, content)
