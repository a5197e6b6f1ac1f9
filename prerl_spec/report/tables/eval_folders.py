"""Reads a folder that `prerl-spec eval` has written as a record without steps; several models may lie below one folder."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from prerl_spec.errors import UsageError
from prerl_spec.report.tables.run_tables import RunRecord, complete_score, read_run
from prerl_spec.storage.sealed import read_array, read_object
from prerl_spec.storage.study_files import STUDY

EVENTS, SCORES, INDEX, STAMPS = "events.jsonl", "scores.json", "models.json", "contamination.json"


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
    if not (folder / EVENTS).is_file():
        if below := _models_below(folder):
            yield from map(_eval_record, below)
            return
        if (folder / STUDY).is_file():
            raise UsageError(
                f"{folder} is a study, and a report is of runs",
                hint=f"prerl-spec compare {folder} --out FILE.html; or name runs in {folder}/cells",
            )
        raise UsageError(
            f"{folder} is not a run folder: it has no {EVENTS}, and no {SCORES} of `prerl-spec eval`",
            hint="name the folder of a run, or one that `eval` has written",
        )
    yield read_run(folder)


def _models_below(folder: Path) -> list[Path]:
    """The folders of several models that were scored together: in the order of models.json, else by name."""
    if (folder / INDEX).is_file():
        named = [folder / str(entry["folder"]) for entry in read_object(folder / INDEX)["models"]]
    else:
        named = sorted(folder.iterdir()) if folder.is_dir() else []
    return [child for child in named if is_eval_folder(child)]


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
        warnings=tuple(_contamination(folder / STAMPS)),
        ended=True,
    )


def _contamination(file: Path) -> Iterator[str]:
    """What speaks against the scores: questions that stand in the training rows, tasks that are older than the cut-off."""
    for row in read_object(file)["tasks"] if file.is_file() else ():
        if row["overlapping_questions"]:
            yield f"{row['task']}: {row['overlapping_questions']} of {row['of']} questions stand in the training rows"
        if row["published_by_cut_off"]:
            yield f"{row['task']}: published {row['published']}, by the model's cut-off {row['cut_off']}"
