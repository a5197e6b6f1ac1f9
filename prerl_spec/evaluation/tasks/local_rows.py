"""Local rows instead of a task's data set: those that are asked, and those that its few-shot examples are taken from.

`data = { gsm8k = "test.jsonl", "gsm8k:fewshot" = "train.jsonl" }`. Everything but the rows is as the task's YAML says, so that
scores have the same task hash whether the same rows come from a file or from the hub.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from prerl_spec.errors import EnvironmentUnmet, UsageError
from prerl_spec.evaluation.names import bare, fewshot_key, task_of_rows
from prerl_spec.evaluation.packs import own_tasks
from prerl_spec.json_lines import count_json_lines


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


def override_of(
    name: str, config: Mapping[str, Any], rows: Path, examples: Path | None, num_fewshot: int | None
) -> dict[str, Any]:
    """The keys of a YAML that reads the rows from `rows`, and the few-shot examples from `examples`.

    Where both are one file, or the task takes its examples from the rows that it asks, an evaluated row is never among its own
    examples. Raises EnvironmentUnmet where the task shows examples of a split for which there is no file.
    """
    asked, shown = evaluated_split(config), fewshot_split(config)
    assert asked is not None, "looked at before"
    wanted = num_examples(config, num_fewshot)
    found = {"task": bare(name), "dataset_path": "json", "dataset_name": None}
    if config.get("custom_dataset") is not None:
        found["custom_dataset"] = None
    files = {asked: str(rows)}
    if shown is not None and wanted:
        if examples is None and shown != asked:
            raise missing_examples(name, wanted, shown, rows)
        if examples is None or examples.resolve() == rows.resolve():
            # lm-eval leaves an evaluated row out of its examples only where both splits have one name.
            same = {"test_split": shown, "fewshot_split": shown}
            return {**found, **same, "dataset_kwargs": {"data_files": {shown: str(rows)}}}
    if shown is not None:
        files.setdefault(shown, str(examples or rows))
    return {**found, "dataset_kwargs": {"data_files": files}}


def rows_for_examples(config: Mapping[str, Any], rows: Path, examples: Path | None) -> int | None:
    """The number of rows that a question's few-shot examples are taken from; None where a task's code, or its YAML, says which.
    Raises OSError."""
    own, asked, shown = config.get("fewshot_config") or {}, evaluated_split(config), fewshot_split(config)
    chosen = (own.get("process_docs", config.get("process_docs")), own.get("fewshot_indices"))
    if shown is None or any(setting is not None for setting in chosen):
        return None
    if examples is None or shown == asked or examples.resolve() == rows.resolve():
        return count_json_lines(rows) - 1
    return count_json_lines(examples)


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


def stated_examples(name: str, data: Mapping[str, Path], num_fewshot: int, split: str | None) -> str:
    """Where the few-shot examples of a task with local rows come from, as a score states it: "5 of train.jsonl", "5 of the
    other evaluated rows"; "task" where the task's own definition says it all."""
    if name not in data or not num_fewshot or split is None:
        return "task"
    examples = data.get(fewshot_key(name))
    if examples is None or examples.resolve() == data[name].resolve():
        return f"{num_fewshot} of the other evaluated rows"
    return f"{num_fewshot} of {examples.name}"


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
