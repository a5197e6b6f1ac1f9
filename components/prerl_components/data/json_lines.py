"""The rows of a JSONL file as a data set."""

from pathlib import Path

from prerl_components.data.rows import BadRow, TableRows, collect
from prerl_components.data.table import TableSettings
from prerl_spec.sdk import EnvironmentUnmet, UnreadableLine, read_json_lines


def open_jsonl(table: TableSettings, path: Path, name: str) -> TableRows:
    """The rows of the file, for the data set `name` of the spec.

    Raises EnvironmentUnmet for a file or rows that cannot be read.
    """
    try:
        lines = list(read_json_lines(path))
    except OSError as error:
        raise EnvironmentUnmet(
            f"data `{name}`: cannot read {path}: {error.strerror}", hint="create the file, or change `path`"
        ) from error
    items = [(where, BadRow(value.reason) if isinstance(value, UnreadableLine) else value) for where, value in lines]
    return collect(table, name, str(path), items)
