"""Rows from a local file, one JSON object per line."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field

from prerl_components.data.json_lines import open_jsonl
from prerl_components.data.table import TableSettings
from prerl_spec.sdk import DataSet, Prerequisite, SpecPath


class Jsonl(TableSettings):
    """Questions with gold answers, or documents, from a JSONL file."""

    path: Annotated[str, SpecPath()] = Field(min_length=1, description="Path of the file, relative to the spec.")

    def prerequisites(self) -> tuple[Prerequisite, ...]:
        return (Prerequisite("file", self.path, "create the file, or change `path`"),)

    def for_trial(self, folder: Path) -> Self:
        self.write_trial_rows(folder / "rows.jsonl")
        return self.model_copy(update={"path": str(folder / "rows.jsonl")})

    def open(self, name: str) -> DataSet:
        """Reads and checks the whole file.

        Raises EnvironmentUnmet for a file that cannot be read, and for unreadable rows (file and line of each).
        """
        return open_jsonl(self, Path(self.path), name)
