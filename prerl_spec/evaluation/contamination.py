"""How far a benchmark may have been seen in training: its questions in the training rows, its date against the model's cut-off.

It says what is known, and why the rest is not. What a base model was pre-trained on is known to nobody here: a benchmark that
was published after the model's cut-off is the only evidence there is.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from prerl_spec.engine.data_check.contamination import Compared, texts_of
from prerl_spec.errors import Damaged, EnvironmentUnmet
from prerl_spec.evaluation.packs import packs
from prerl_spec.evaluation.targets import Target
from prerl_spec.evaluation.tasks import catalogue
from prerl_spec.evaluation.tasks.questions import cache_alone
from prerl_spec.questions.overlaps import PASSAGE_WORDS, find_overlaps
from prerl_spec.registry.kinds.evaluator import ShowsQuestions, TaskQuestions
from prerl_spec.storage.sealed import read_object, write_object

FILE = "contamination.json"
FORMAT = 1
_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?")
_NO_ROWS = "nothing is known of this model's training rows: name the run or the spec that trains it"


@dataclass(frozen=True)
class Stamp:
    """`Stamp("aime24_boxed", overlapping=2, of=30, published="2024-02-06", cut_off="2024-06")`.

    `overlapping` of the task's `of` questions stand in the training rows, whole or in a passage of 13 words; both None where
    `unknown` says why. Dates are YYYY, YYYY-MM or YYYY-MM-DD, None where they are not known.
    """

    task: str
    overlapping: int | None = None
    of: int | None = None
    published: str | None = None
    cut_off: str | None = None
    unknown: str | None = None

    @property
    def could_be_known(self) -> bool | None:
        """Whether the benchmark was published by the model's cut-off; None where a date is missing, or too coarse to tell."""
        if self.published is None or self.cut_off is None:
            return None
        width = min(len(self.published), len(self.cut_off))
        if self.published[:width] != self.cut_off[:width]:
            return self.published[:width] < self.cut_off[:width]
        return True if len(self.published) >= len(self.cut_off) else None

    def as_row(self) -> dict[str, Any]:
        return {
            "task": self.task,
            "ngram": PASSAGE_WORDS,
            "overlapping_questions": self.overlapping,
            "of": self.of,
            "published": self.published,
            "cut_off": self.cut_off,
            "published_by_cut_off": self.could_be_known,
            "unknown": self.unknown,
        }

    def words(self) -> str:
        """One line: `aime24_boxed: 2 of 30 questions in the training rows; published 2024-02-06, by the cut-off 2024-06`."""
        seen = self.unknown or f"{self.overlapping} of {self.of} questions in the training rows"
        if self.published is None:
            return f"{self.task}: {seen}"
        known = {True: f", by the cut-off {self.cut_off}", False: f", after the cut-off {self.cut_off}", None: ""}
        return f"{self.task}: {seen}; published {self.published}{known[self.could_be_known]}"


def contamination(evaluator: Any, target: Target, cut_off: str | None = None) -> list[Stamp]:
    """A stamp for each task of the evaluator, with the training rows of the run or the spec that the target comes from.

    Asks no hub: rows that are not on this machine are unknown. Raises UsageError for an unknown task.
    """
    tasks = list(evaluator.questions()) if isinstance(evaluator, ShowsQuestions) else []
    dates = _published(evaluator)
    if target.training is None:
        return [Stamp(t.task, published=dates.get(t.task), cut_off=cut_off, unknown=_NO_ROWS) for t in tasks]
    try:
        with cache_alone():
            seen = _overlapping(tasks, _training_texts(target.training()))
    except (EnvironmentUnmet, ValidationError) as error:
        why = f"the training rows cannot be read: {str(error).splitlines()[0]}"
        return [Stamp(t.task, published=dates.get(t.task), cut_off=cut_off, unknown=why) for t in tasks]
    return [
        Stamp(
            task.task,
            None if task.unknown else seen.get(task.task, 0),
            None if task.unknown else len({place for place, _ in task.texts}),
            dates.get(task.task),
            cut_off,
            task.unknown,
        )
        for task in tasks
    ]


def write_stamps(folder: Path, stamps: Iterable[Stamp]) -> Path:
    """Adds the stamps to `contamination.json` of an evaluation's folder, in place of earlier ones of the same tasks; a damaged
    file is written anew. Raises OSError."""
    file = folder / FILE
    rows = {row["task"]: row for row in read_stamps(file)} | {one.task: one.as_row() for one in stamps}
    write_object(file, {"format": FORMAT, "tasks": [rows[task] for task in sorted(rows)]})
    return file


def stamp_folder(folder: Path, evaluator: Any, target: Target, cut_off: str | None) -> list[Stamp]:
    """The stamps of an evaluation, written beside its scores; none where neither the training rows nor a cut-off are known.

    Raises UsageError, OSError.
    """
    if target.training is None and cut_off is None:
        return []
    stamps = contamination(evaluator, target, cut_off)
    write_stamps(folder, stamps)
    return stamps


def read_stamps(file: Path) -> list[dict[str, Any]]:
    """The rows of a file of stamps; none if there is no such file, or a damaged one: stamps are computed again at will."""
    try:
        return list(read_object(file)["tasks"])
    except (FileNotFoundError, Damaged, KeyError):
        return []


def is_date(text: str) -> bool:
    """Whether a text is YYYY, YYYY-MM or YYYY-MM-DD."""
    return _DATE.fullmatch(text) is not None


def _published(evaluator: Any) -> dict[str, str]:
    """When each task was published, as the metadata of our own YAML and of `include` folders say."""
    include = [Path(folder) for folder in getattr(evaluator, "include", ())]
    configs = catalogue.included_configs(include)
    found = {name: str((config.get("metadata") or {}).get("published", "")) for name, config in configs.items()}
    found |= {name: pack.published for name, pack in packs().items()}
    return {name: date for name, date in found.items() if is_date(date)}


def _training_texts(data: Mapping[str, Any]) -> Iterator[str]:
    """What every row of these data sets says."""
    for name, component in data.items():
        opened = component.open(name)
        for number in range(len(opened)):
            yield from (text for _, text in texts_of(opened.row(number), opened.rendering))


def _overlapping(tasks: list[TaskQuestions], training: Iterable[str]) -> dict[str, int]:
    """The number of questions of each task that a training text contains."""
    compared = Compared.of(tasks)
    owner = [(task.task, place) for task in tasks for place, _ in task.texts]
    seen = {owner[overlap.benchmark] for overlap in find_overlaps(training, compared.index)}
    return {task.task: sum(name == task.task for name, _ in seen) for task in tasks}
