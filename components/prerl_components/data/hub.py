"""Loads a split with the `datasets` library, from the hub, its cache or a local folder."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import datasets
from huggingface_hub import constants

from prerl_components.data.rows import MAX_SHOWN, BadRow, TableRows, collect, counted_unreadable
from prerl_components.data.table import TableSettings
from prerl_components.models.hub_access import cache_alone_where_unreachable
from prerl_spec.sdk import EnvironmentUnmet, UnreadableLine, read_json_lines, text_fault


def open_split(
    table: TableSettings, name: str, *, path: str, configuration: str | None, split: str, revision: str
) -> TableRows:
    """The rows of the split, for the data set `name` of the spec. Raises EnvironmentUnmet, with the name on the hub, if
    the split cannot be loaded."""
    is_local = Path(path).exists()
    source = f"{path}{f'/{configuration}' if configuration else ''}[{split}]"
    try:
        with nullcontext() if is_local else _cache_alone_where_unreachable():
            rows = datasets.load_dataset(path, configuration, split=split, revision=None if is_local else revision)
    # An unreachable hub raises any of these: LocalEntryNotFoundError and DatasetNotFoundError are OSErrors too.
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        if is_local and (lines := _unreadable_lines(Path(path))):
            raise EnvironmentUnmet(
                "\n  ".join([f"data `{name}`: {counted_unreadable(len(lines))} in {path}", *lines[:MAX_SHOWN]]),
                hint="fix these rows: `datasets` reads a file whole or not at all; `jsonl` can skip them",
            ) from error
        at = "" if is_local else f" at {revision}"
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise EnvironmentUnmet(
            f"data `{name}`: cannot load {path}{at}, split {split}: {reason}",
            hint="check path, name, split and revision; without a connection, download it to the hub's cache "
            "beforehand, or use `jsonl` on a local file with the same rows",
        ) from error
    return collect(table, name, source, _rows(rows, source))


def _unreadable_lines(folder: Path) -> list[str]:
    """The lines of a local folder's JSON Lines files that cannot be read, each with its place: `datasets` tells none."""
    return [
        f"{where}: {fault}"
        for file in sorted(folder.rglob("*.jsonl"))
        for where, value in read_json_lines(file)
        if (fault := _fault(value)) is not None
    ]


def _fault(value: Any) -> str | None:
    if isinstance(value, UnreadableLine):
        return None if value.reason == "an empty line" else value.reason  # `datasets` passes over those
    texts = value.items() if isinstance(value, Mapping) else ()
    faults = ((name, text_fault(text)) for name, text in texts if isinstance(text, str))
    return next((f'"{name}" {fault}' for name, fault in faults if fault is not None), None)


@contextmanager
def _cache_alone_where_unreachable() -> Iterator[None]:
    """Also sets HF_HUB_OFFLINE in `datasets`, which keeps its own copy of the hub client's setting."""
    before = datasets.config.HF_HUB_OFFLINE
    with cache_alone_where_unreachable():
        datasets.config.HF_HUB_OFFLINE = before or constants.HF_HUB_OFFLINE
        try:
            yield
        finally:
            datasets.config.HF_HUB_OFFLINE = before


def _rows(split: Any, source: str) -> Iterator[tuple[str, Any]]:
    """Every row with its place; pyarrow takes bytes that are no UTF-8 for text, until somebody reads it."""
    rest = iter(split)
    for number in range(len(split)):
        try:
            row = next(rest)
        except UnicodeDecodeError:
            row = BadRow("not UTF-8")
            rest = iter(split.select(range(number + 1, len(split))))
        yield f"{source}:{number}", row
