"""Reads a folder that `prerl-spec eval` has written as a record without steps; several models may lie below one folder."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from prerl_spec.errors import UsageError
from prerl_spec.report.tables.run_tables import RunRecord, complete_score, read_run
from prerl_spec.storage.sealed import read_array

EVENTS, SCORES = "events.jsonl", "scores.json"


def read_folders(folders: Sequence[Path]) -> list[RunRecord]:
    """The runs, and the folders of `eval`; a folder of several models gives each of them.

    Raises UsageError for a folder that is neither, Damaged, RunFailed for a score with missing fields.
    """
    return [record for folder in folders for record in _read(folder)]


def is_eval_folder(folder: Path) -> bool:
    """Whether `eval` has written the folder: scores, and no run that they belong to."""
    return (folder / SCORES).is_file() and not (folder / EVENTS).is_file()


def _read(folder: Path) -> Iterator[RunRecord]:
    if is_eval_folder(folder):
        yield _eval_record(folder)
        return
    if not (folder / EVENTS).is_file() and folder.is_dir():
        below = sorted(child for child in folder.iterdir() if child.is_dir() and is_eval_folder(child))
        if below:
            yield from map(_eval_record, below)
            return
    if not (folder / EVENTS).is_file():
        raise UsageError(
            f"{folder} is not a run folder: it has no {EVENTS}, and no {SCORES} of `prerl-spec eval`",
            hint="name the folder of a run, or one that `eval` has written",
        )
    yield read_run(folder)


def _eval_record(folder: Path) -> RunRecord:
    file = folder / SCORES
    scores = tuple(complete_score(row, f"{file}[{index}]") for index, row in enumerate(read_array(file)))
    name = folder.resolve().name
    return RunRecord(
        folder=folder,
        name=folder.resolve().parent.name if name == "eval" else name,
        steps=(),
        scores=scores,
        seconds=(),
        ended=True,
    )
