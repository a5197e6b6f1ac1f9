"""Local rows instead of a task's data set: those that are asked, and those that its few-shot examples are taken from.

`data = { gsm8k = "test.jsonl", "gsm8k:fewshot" = "train.jsonl" }`. Everything but the rows is as the task's YAML says, so that
scores have the same task hash whether the same rows come from a file or from the hub.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prerl_spec.errors import EnvironmentUnmet, UsageError
from prerl_spec.evaluation.names import bare, fewshot_key, task_of_rows
from prerl_spec.evaluation.packs import own_tasks
from prerl_spec.json_lines import BLANK, count_json_lines, read_json_lines


def evaluated_split(config: Mapping[str, Any]) -> str | None:
    """The split that is asked; None for what is not a single task."""
    return config.get("test_split") or config.get("validation_split")


def fewshot_split(config: Mapping[str, Any]) -> str | None:
    """The split that lm-eval takes few-shot examples from; None where the YAML writes the examples themselves."""
    own = config.get("fewshot_config") or {}
    if split := own.get("split", config.get("fewshot_split")):
        return str(split)
    if own.get("samples") is not None:
        return None
    return config.get("training_split") or config.get("validation_split") or config.get("test_split")


def num_examples(config: Mapping[str, Any], wanted: int | None) -> int:
    """Few-shot examples before each question; `wanted` None: the task's own number."""
    return int((config.get("num_fewshot") or 0) if wanted is None else wanted)


@dataclass(frozen=True)
class Examples:
    """What is shown before each question: `number` rows of `file`; without a file, rows that are asked themselves."""

    number: int
    split: str | None
    """The YAML's split that they are of; None where the YAML writes them itself."""
    file: Path | None = None

    @property
    def of_asked(self) -> bool:
        """Whether they are the other evaluated rows."""
        return self.number > 0 and self.split is not None and self.file is None


def examples_of(
    name: str, config: Mapping[str, Any], rows: Path, examples: Path | None, num_fewshot: int | None
) -> Examples:
    """The few-shot examples of a task that asks `rows`, where `examples` are named for them.

    Raises EnvironmentUnmet where the task shows examples of a split for which there is no file, and where it writes them
    itself, so that those of the file would never be shown.
    """
    shown, wanted = fewshot_split(config), num_examples(config, num_fewshot)
    if not wanted:
        return Examples(0, shown)
    if shown is None:
        if examples is not None:
            raise EnvironmentUnmet(
                f"`{name}` writes its few-shot examples itself, and would never show those of {examples.name}",
                hint=f"leave {fewshot_key(name)} out",
            )
        return Examples(wanted, None)
    if examples is None and shown != evaluated_split(config):
        raise missing_examples(name, wanted, shown, rows)
    if examples is None or examples.resolve() == rows.resolve():
        return Examples(wanted, shown)
    return Examples(wanted, shown, examples)


def override_of(
    name: str, config: Mapping[str, Any], rows: Path, examples: Path | None, num_fewshot: int | None
) -> dict[str, Any]:
    """The keys of a YAML that reads the rows from `rows`, and the few-shot examples from `examples`.

    Where both are one file, or the task takes its examples from the rows that it asks, an evaluated row is never among its own
    examples. Raises EnvironmentUnmet as `examples_of`.
    """
    found = {"task": bare(name), "dataset_path": "json", "dataset_name": None}
    if config.get("custom_dataset") is not None:
        found["custom_dataset"] = None
    return {**found, **_splits(config, rows, examples_of(name, config, rows, examples, num_fewshot))}


def _splits(config: Mapping[str, Any], rows: Path, examples: Examples) -> dict[str, Any]:
    """Which file each split is read from, and which split is asked where the YAML's own would not do."""
    asked, shown = evaluated_split(config), examples.split
    assert asked is not None, "looked at before"
    if examples.file is not None and shown == asked:
        # One split in the YAML, two files: `fewshot_config` may name it as well, so the asked rows are what moves.
        moved = f"asked_{asked}"
        own = {"test_split": moved, "fewshot_split": shown}
        return {**own, "dataset_kwargs": {"data_files": {moved: str(rows), shown: str(examples.file)}}}
    if examples.of_asked:
        # lm-eval leaves an evaluated row out of its examples only where both splits have one name.
        same = dict.fromkeys(("test_split", "fewshot_split"), shown)
        return {**same, "dataset_kwargs": {"data_files": {shown: str(rows)}}}
    files = {asked: str(rows)}
    if shown is not None:
        # lm-eval opens the split even where it shows nothing of it.
        files.setdefault(shown, str(examples.file or rows))
    return {"dataset_kwargs": {"data_files": files}}


def rows_for_examples(config: Mapping[str, Any], rows: Path, examples: Examples) -> int | None:
    """The number of rows that a question's few-shot examples are taken from; None where none are shown, or a task's code, or
    its YAML, says which. Raises OSError."""
    own = config.get("fewshot_config") or {}
    chosen = (own.get("process_docs", config.get("process_docs")), own.get("fewshot_indices"))
    if any(setting is not None for setting in chosen):
        return None
    if examples.of_asked:
        return count_json_lines(rows) - 1
    return None if examples.file is None else count_json_lines(examples.file)


def too_few_examples(name: str, wanted: int, there: int) -> UsageError:
    """The error for a task with fewer rows for examples than it shows."""
    return UsageError(
        f"task `{name}` shows {wanted} worked examples, and has {there}",
        hint=f"set num_fewshot to {there}, or provide more rows",
    )


def missing_examples(name: str, wanted: int, split: str, rows: Path) -> EnvironmentUnmet:
    """The error for a task whose few-shot examples would have to come from the rows that it asks."""
    key = fewshot_key(name)
    examples = "1 few-shot example" if wanted == 1 else f"{wanted} few-shot examples"
    return EnvironmentUnmet(
        f"`{name}` shows {examples} of its split `{split}`, and only rows to ask are given",
        hint=f'name the rows of {split}: data = {{ "{key}" = "FILE" }}, or --data {key}=FILE on the command line; or ask '
        f"without examples: num_fewshot = 0. With {rows.name} as FILE they are its other rows",
    )


def shared_row(rows: Path, examples: Path) -> tuple[int, int] | None:
    """The numbers, from 1, of the first row of `rows` that is a row of `examples` as well, and of that one."""
    shown = {_as_value(row): number for number, row in reversed(list(_numbered(examples)))}
    asked = ((number, shown.get(_as_value(row))) for number, row in _numbered(rows))
    return next(((number, other) for number, other in asked if other is not None), None)


def _numbered(file: Path) -> Iterator[tuple[int, Any]]:
    return enumerate((row for _, row in read_json_lines(file) if row is not BLANK), 1)


def _as_value(row: Any) -> str:
    return json.dumps(row, sort_keys=True, default=str)


def stated_examples(name: str, config: Mapping[str, Any], data: Mapping[str, Path], own_number: int) -> str:
    """Where a task's few-shot examples come from, as a score states it: "5 of train.jsonl", "5 of the other evaluated rows";
    "2 of the task's" and "0" where their number alone is not the task's own; "task" where its definition says it all.

    `config` is the task's as it is asked, with the number of examples; `own_number` the one that its definition says.
    """
    number = num_examples(config, None)
    if name in data and number:
        examples = examples_of(name, config, data[name], data.get(fewshot_key(name)), None)
        if examples.of_asked:
            return f"{number} of the other evaluated rows"
        if examples.file is not None:
            return f"{number} of {examples.file.name}"
    if number == own_number:
        return "task"
    return f"{number} of the task's" if number else "0"


def misplaced_rows(data: Collection[str], tasks: Collection[str]) -> tuple[str, str] | None:
    """What is wrong with the keys of `data`, and what would be right; None where all are well."""
    for key in data:
        task = task_of_rows(key)
        if task not in tasks:
            return f"names task `{task}`, which is not in `tasks`", f"add {task} to the tasks"
        if key == task:
            continue
        if task in own_tasks():
            return f"names `{key}`, and `{task}` has no few-shot examples", "leave it out"
        if task not in data:
            return (
                f"names the few-shot examples of `{task}`, whose own rows come from the hub",
                f"name its rows as well: {task} = FILE",
            )
    return None
