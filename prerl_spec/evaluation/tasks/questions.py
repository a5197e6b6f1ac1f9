"""The questions of lm-eval tasks as far as they are on this machine, for comparison with training texts. Asks no hub."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prerl_spec.compiler.estimates.local_files import cached_commit
from prerl_spec.errors import EnvironmentUnmet
from prerl_spec.evaluation.names import toml_key
from prerl_spec.evaluation.packs import Pack, packs
from prerl_spec.evaluation.packs.columns import QUESTION_COLUMNS
from prerl_spec.evaluation.tasks import catalogue
from prerl_spec.evaluation.tasks.rows import hub_rows
from prerl_spec.json_lines import read_json_lines
from prerl_spec.registry.kinds.evaluator import TaskQuestions

Rows = Callable[[], Sequence[Mapping[str, str]]]


def task_questions(
    names: Sequence[str], *, include: Sequence[Path], data: Mapping[str, Path], made: Mapping[str, Rows]
) -> Iterator[TaskQuestions]:
    """The questions of each task: from local rows (`data`), generated (`made`), of our own tasks in the hub's cache, or of
    an included task whose YAML names local JSON Lines files; else why they are unknown. Raises UsageError."""
    own, included = packs(), catalogue.included_configs(include)
    for name in names:
        if name in data:
            asked = own[name].columns.question if name in own else None
            yield _of_files(name, [data[name]], asked)
        elif name in made:
            rows = made[name]()
            yield TaskQuestions(name, tuple((f"row {n}", row["question"]) for n, row in enumerate(rows)))
        elif name in own:
            yield _of_cache(own[name])
        elif files := _asked_files(included.get(name, {})):
            yield _of_files(name, files)
        else:
            yield TaskQuestions(
                name, unknown=f'lm-eval reads its rows: write data = {{ {toml_key(name)} = "rows.jsonl" }} to compare'
            )


def _of_files(name: str, files: Sequence[Path], column: str | None = None) -> TaskQuestions:
    """The questions of rows, or every text of rows whose columns only lm-eval's YAML knows."""
    texts: list[tuple[str, str]] = []
    names = QUESTION_COLUMNS if column is None else (column, *QUESTION_COLUMNS)
    for file in files:
        try:
            lines = list(read_json_lines(file))
        except OSError as error:
            return TaskQuestions(name, unknown=f"{file} cannot be read: {error.strerror}")
        for where, row in lines:
            columns = {k: v for k, v in row.items() if isinstance(v, str)} if isinstance(row, Mapping) else {}
            asked = [columns[name] for name in names if name in columns][:1]
            texts += [(where, text) for text in asked or columns.values()]
    return TaskQuestions(name, tuple(texts))


def _of_cache(pack: Pack) -> TaskQuestions:
    if pack.hub is None or cached_commit(pack.hub, kind="dataset") is None:
        return TaskQuestions(pack.name, unknown=f"{pack.hub} is not in the hub's cache: `prerl-spec fetch SPEC`")
    try:
        with cache_alone():
            rows = hub_rows(pack)
    except EnvironmentUnmet as error:
        return TaskQuestions(pack.name, unknown=error.message.splitlines()[0])
    return TaskQuestions(
        pack.name, tuple((f"{pack.hub}[{pack.split}]:{n}", row["problem"]) for n, row in enumerate(rows))
    )


def _asked_files(config: Mapping[str, Any]) -> list[Path]:
    """The local files of a task's test, or its validation, split."""
    return catalogue.local_files(config, "test_split") or catalogue.local_files(config, "validation_split")


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
