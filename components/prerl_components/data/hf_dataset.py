"""Rows of a data set on the Hugging Face Hub, or of a local folder in one of the Hub's formats."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field, field_validator

from prerl_components.data.table import TableSettings
from prerl_spec.sdk import DataSet, Prerequisite


class HfDataset(TableSettings):
    """Questions with gold answers, or documents, from a split that the `datasets` library can load."""

    library_bytes: ClassVar[Mapping[str, int]] = {"datasets": 82 << 20}

    path: str = Field(min_length=1, description="Name on the hub, or a local folder.")
    name: str | None = Field(default=None, description="Configuration of the data set. Default: its only one.")
    split: str = Field(default="train", min_length=1, description="Split, such as train or test[:200].")
    revision: str = Field(default="main", min_length=1, description="Branch, tag or commit on the hub.")

    @field_validator("path")
    @classmethod
    def _from_home(cls, place: str) -> str:
        return os.path.expanduser(place)

    def prerequisites(self) -> tuple[Prerequisite, ...]:
        if Path(self.path).exists():
            return ()
        hint = "connect to the hub, or use `jsonl` on a local file with the same rows"
        return (Prerequisite("dataset", self.path, hint, self.revision),)

    def for_trial(self, folder: Path) -> Self:
        """The same settings on a local folder with generated rows."""
        self.write_trial_rows(folder / "train.jsonl")
        return self.model_copy(update={"path": str(folder), "name": None, "split": "train"})

    def open(self, name: str) -> DataSet:
        """Loads the split and checks every row.

        Raises EnvironmentUnmet if the hub is unreachable, and for unreadable rows (split and row number of each).
        """
        from prerl_components.data.hub import open_split

        return open_split(self, name, path=self.path, configuration=self.name, split=self.split, revision=self.revision)
