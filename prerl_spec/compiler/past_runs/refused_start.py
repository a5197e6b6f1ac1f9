"""Leaves nothing of a start that was refused: a folder in which nothing was computed would look like a run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from prerl_spec.compiler.past_runs.run_folder import LOCK
from prerl_spec.errors import Drift, EnvironmentUnmet, SpecInvalid, UsageError
from prerl_spec.storage.chained_lines import last_line
from prerl_spec.storage.disk import remove

REFUSALS = (SpecInvalid, UsageError, EnvironmentUnmet, Drift)
REFUSED_CODES = frozenset((1, 2, 3, 4))
GIVEN = frozenset({LOCK, "plan.json", "spec.toml"})
"""What a start writes before it loads anything."""
TASK_FILES = "tasks"
"""Below `evaluation`: definitions that are written before they are loaded."""


@dataclass(frozen=True)
class Places:
    """The folders that a start may create, and those of them that were there before: `Places.before(run_dir, output_dir)`."""

    existing: frozenset[Path]

    @classmethod
    def before(cls, *folders: Path | None) -> "Places":
        return cls(frozenset(folder for folder in folders if folder is not None and folder.exists()))


@contextmanager
def nothing_left(folder: Path | None, places: Places) -> Iterator[Callable[[int], None]]:
    """Within the block a refusal empties the run folder, and removes it, and the folder around it, unless they were there
    before: an exception of `REFUSALS`, or the exit code of another process that the yielded function is given.

    Without effect for None, and for a folder that held more than a start's own files to begin with.
    """
    is_new = folder is not None and {entry.name for entry in folder.iterdir()} <= GIVEN

    def ended(code: int) -> None:
        if folder is not None and is_new and code in REFUSED_CODES:
            _discard(folder, places)

    try:
        yield ended
    except REFUSALS as error:
        ended(error.exit_code)
        raise


def _discard(folder: Path, places: Places) -> None:
    """Removes the folder as `nothing_left` does; leaves it if anything was computed in it: an event, a response, a score."""
    if _is_of_use(folder):
        return
    for entry in folder.iterdir():
        remove(entry)
    for place in (folder, folder.parent):
        if place not in places.existing:
            with suppress(OSError):
                place.rmdir()


def _is_of_use(folder: Path) -> bool:
    if last_line(folder / "events.jsonl") is not None:
        return True
    made = [
        *_files(folder / "checkpoints"),
        *_files(folder / "journal"),
        *(f for f in _files(folder / "evaluation") if TASK_FILES not in f.relative_to(folder / "evaluation").parts),
    ]
    return bool(made)


def _files(folder: Path) -> Iterator[Path]:
    return (entry for entry in folder.glob("**/*") if entry.is_file())
