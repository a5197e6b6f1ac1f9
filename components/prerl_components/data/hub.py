"""Loads a split with the `datasets` library, from the hub, its cache or a local folder."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import datasets
from huggingface_hub import constants

from prerl_components.data.rows import TableRows, collect
from prerl_components.data.table import TableSettings
from prerl_components.models.hub_access import cache_alone_where_unreachable
from prerl_spec.sdk import EnvironmentUnmet


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
        at = "" if is_local else f" at {revision}"
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise EnvironmentUnmet(
            f"data `{name}`: cannot load {path}{at}, split {split}: {reason}",
            hint="check path, name, split and revision; without a connection, download it to the hub's cache "
            "beforehand, or use `jsonl` on a local file with the same rows",
        ) from error
    return collect(table, name, source, _rows(rows, source))


@contextmanager
def _cache_alone_where_unreachable() -> Iterator[None]:
    """Also sets HF_HUB_OFFLINE in `datasets`, which keeps its own copy of the hub client's setting."""
    before = datasets.config.HF_HUB_OFFLINE
    with cache_alone_where_unreachable():
        datasets.config.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE
        try:
            yield
        finally:
            datasets.config.HF_HUB_OFFLINE = before


def _rows(split: Any, source: str) -> Iterator[tuple[str, Any]]:
    for number, row in enumerate(split):
        yield f"{source}:{number}", row
