"""The questions of lm-eval tasks as far as they are on this machine, for comparison with training texts. Asks no hub."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prerl_spec.compiler.estimates.local_files import cached_commit
from prerl_spec.errors import EnvironmentUnmet
from prerl_spec.evaluation.harness import catalogue
from prerl_spec.evaluation.harness.rows import QUESTION_COLUMNS, hub_rows
from prerl_spec.json_lines import read_json_lines
from prerl_spec.registry.kinds.evaluator import TaskQuestions

Rows = Callable[[], Sequence[Mapping[str, str]]]


def task_questions(
    names: Sequence[str], *, include: Sequence[Path], data: Mapping[str, Path], made: Mapping[str, Rows]
) -> Iterator[TaskQuestions]:
    """The questions of each task: from local rows (`data`), generated (`made`), of our own tasks in the hub's cache, or of
    an included task whose YAML names local JSON Lines files; else why they are unknown. Raises UsageError."""
    own, included = catalogue.own_tasks(), catalogue.included_configs(include)
    for name in names:
        if name in data:
            yield _of_files(name, [data[name]])
        elif name in made:
            rows = made[name]()
            yield TaskQuestions(name, tuple((f"row {n}", row["question"]) for n, row in enumerate(rows)))
        elif name in own:
            yield _of_cache(name, own[name]["dataset_path"], own[name]["test_split"])
        elif files := _local_files(included.get(name, {})):
            yield _of_files(name, files)
        else:
            yield TaskQuestions(
                name, unknown=f'lm-eval reads its rows: write data = {{ {name} = "rows.jsonl" }} to compare'
            )


def _of_files(name: str, files: Sequence[Path]) -> TaskQuestions:
    """The questions of rows, or every text of rows whose columns only lm-eval's YAML knows."""
    texts: list[tuple[str, str]] = []
    for file in files:
        try:
            lines = list(read_json_lines(file))
        except OSError as error:
            return TaskQuestions(name, unknown=f"{file} cannot be read: {error.strerror}")
        for where, row in lines:
            columns = {k: v for k, v in row.items() if isinstance(v, str)} if isinstance(row, Mapping) else {}
            asked = [columns[column] for column in QUESTION_COLUMNS if column in columns][:1]
            texts += [(where, text) for text in asked or columns.values()]
    return TaskQuestions(name, tuple(texts))


def _of_cache(name: str, path: str, split: str) -> TaskQuestions:
    if cached_commit(path, kind="dataset") is None:
        return TaskQuestions(name, unknown=f"{path} is not in the hub's cache: `prerl-spec fetch SPEC`")
    try:
        with cache_alone():
            rows = hub_rows(name, path, split)
    except EnvironmentUnmet as error:
        return TaskQuestions(name, unknown=error.message.splitlines()[0])
    return TaskQuestions(name, tuple((f"{path}[{split}]:{n}", row["problem"]) for n, row in enumerate(rows)))


def _local_files(config: Mapping[str, Any]) -> list[Path]:
    """The JSON Lines files that a task's YAML names for its test, or its validation, split."""
    files = (config.get("dataset_kwargs") or {}).get("data_files")
    if isinstance(files, Mapping):
        files = files.get(config.get("test_split") or config.get("validation_split"))
    named = [files] if isinstance(files, str) else files or []
    return [Path(file) for file in named]


@contextmanager
def cache_alone() -> Iterator[None]:
    """Inside, the hub's client and `datasets` use their caches only, as with HF_HUB_OFFLINE=1 in the environment."""
    import datasets
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = before
