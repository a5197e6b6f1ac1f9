"""What `fsck` finds of a file, and how a damaged one is put aside."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Literal

from prerl_spec.storage import disk

State = Literal["ok", "torn", "damaged"]


@dataclass(frozen=True)
class Finding:
    """The state of one file or checkpoint: `Finding("journal/step-000007.journal", "damaged", "frame 3 …", "…")`.

    `remedy` says what can be done about it; `repair`, where it is not None, does it.
    """

    path: str
    state: State
    detail: str = ""
    remedy: str = ""
    repair: Callable[[], None] | None = None


def aside(path: Path) -> None:
    """Renames a damaged file or folder to the first free name of NAME.bad, NAME.2.bad, …"""
    endings = chain([".bad"], (f".{number}.bad" for number in count(2)))
    names = (path.with_name(path.name + ending) for ending in endings)
    disk.rename(path, next(name for name in names if not name.exists()))
    disk.sync_folder(path.parent)
