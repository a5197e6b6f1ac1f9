"""What scoring would refuse of an evaluator's task names and local rows, found without loading lm-eval or any task.

Whether a task's own code and its data set on the hub do as its YAML says is only known when it is loaded.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from prerl_spec.compiler.estimates.prerequisites import has_train
from prerl_spec.errors import EnvironmentUnmet, PrerlError, UsageError
from prerl_spec.evaluation.names import bare, fewshot_key, is_stock, task_of_rows
from prerl_spec.evaluation.packs import packs
from prerl_spec.evaluation.tasks.catalogue import check_names, included_names, known_config
from prerl_spec.evaluation.tasks.local_rows import (
    evaluated_split,
    examples_of,
    rows_for_examples,
    shared_row,
    too_few_examples,
)
from prerl_spec.evaluation.tasks.rows import file_rows, require_rows
from prerl_spec.evaluation.tasks.stock_index import stock_names


class Refused(NamedTuple):
    """A task that cannot be scored, why, and what would be right."""

    task: str
    found: str
    hint: str


def refused_tasks(names: Sequence[str], include: Sequence[Path]) -> Iterator[Refused]:
    """The names that neither prerl-spec, nor a folder, nor the installed lm-eval defines; none where the extra that runs
    need is not installed, or a folder is not there, which are needs of their own."""
    if not has_train() or not all(folder.is_dir() for folder in include):
        return
    for name in names:
        try:
            check_names([name], include)
        except UsageError as error:
            yield Refused(name, error.message, error.hint or "name another task")


def refused_rows(
    data: Mapping[str, Path], include: Sequence[Path], num_fewshot: int | None = None
) -> Iterator[Refused]:
    """The tasks whose local rows cannot be read, that are groups, or whose few-shot examples have no rows, too few, or
    rows that are asked. A file that is not there is a need of its own."""
    for key, file in data.items():
        task = task_of_rows(key)
        if not file.is_file():
            continue
        try:
            _require_rows(task, file)
        except EnvironmentUnmet as error:
            yield Refused(task, error.message, error.hint or "fix these rows")
            continue
        kind = _kind(task, include)
        if kind in ("group", "tag"):
            yield Refused(
                task, f"a {kind} of tasks has no rows of its own", "name one of its tasks, here and in `tasks`"
            )
        elif key == task and (unusable := _unusable_examples(task, data, include, num_fewshot)) is not None:
            yield Refused(task, unusable.message, unusable.hint or "name their rows")


def _require_rows(task: str, file: Path) -> None:
    """Raises EnvironmentUnmet."""
    if (pack := packs().get(task)) is not None:
        file_rows(task, file, None, pack.columns)
    else:
        require_rows(task, file)


def _unusable_examples(
    task: str, data: Mapping[str, Path], include: Sequence[Path], num_fewshot: int | None
) -> PrerlError | None:
    """What is wrong with the few-shot examples of a task of lm-eval that asks local rows."""
    config = None if task in packs() else known_config(task, include)
    if config is None or evaluated_split(config) is None:
        return None
    rows = data[task]
    try:
        examples = examples_of(task, config, rows, data.get(fewshot_key(task)), num_fewshot)
    except EnvironmentUnmet as error:
        return error
    file = examples.file
    if file is not None and not file.is_file():
        return None
    there = rows_for_examples(config, rows, examples)
    if there is not None and there < examples.number:
        return too_few_examples(task, examples.number, there)
    if file is None or (shared := shared_row(rows, file)) is None:
        return None
    asked, shown = shared
    return EnvironmentUnmet(
        f"`{task}`: row {shown} of {file.name} is also asked ({rows.name}, row {asked}): it would be shown with its answer",
        hint=f"remove it from one of the files; with {rows.name} as {fewshot_key(task)} the examples are its other rows",
    )


def _kind(task: str, include: Sequence[Path]) -> str | None:
    """Whether the name is a task's, a group's or a tag's; None where nothing, or another need, tells."""
    if task in packs() or not has_train() or not all(folder.is_dir() for folder in include):
        return None
    own = {} if is_stock(task) else included_names(include)
    named = own.get(bare(task)) or stock_names().get(bare(task))
    return None if named is None else named.kind
