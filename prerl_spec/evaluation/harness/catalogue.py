"""Finds lm-eval tasks by name: first our own, then those of the user's folders, then those of the installed lm-eval.

lm-eval takes about fifteen seconds to index its 14,000 files; scanning for task names is faster.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from prerl_spec.errors import EnvironmentUnmet, PrerlError, UsageError
from prerl_spec.evaluation.harness.rows import require_readable
from prerl_spec.evaluation.harness.strange_code import without_strange_code
from prerl_spec.storage.disk import write_whole

OWN_FOLDER = Path(__file__).parent / "tasks"
_NAMED = re.compile(rb"^(task|group):[ \t]*[\"']?([\w./-]+)[\"']?[ \t]*(?:#.*)?$", re.MULTILINE)


def own_tasks() -> dict[str, dict[str, Any]]:
    """The configurations of prerl-spec's own benchmarks, by name."""
    return {name: dict(entry.cfg) for name, entry in _index([OWN_FOLDER]).items()}


def load_tasks(
    names: Sequence[str], *, include: Sequence[Path], data: Mapping[str, Path], folder: Path
) -> dict[str, Any]:
    """Loads the lm-eval tasks of these names, none of them our own; a group expands to its tasks.

    `data` replaces a task's hub data set by a local JSON Lines file (few-shot examples then come from the same rows,
    excluding the evaluated one); the override is written to `folder`. Raises UsageError for unknown names,
    EnvironmentUnmet for a task that cannot be built.
    """
    included, stock = check_names(names, include)
    tasks: dict[str, Any] = {}
    for name in names:
        kind, file = stock[name] if name not in included else ("task", included[name])
        if name in data:
            file = _with_local_rows(name, file, data[name], folder)
        by_name = name not in data and (name in included or kind == "group")
        folders = [] if kind == "group" else include
        tasks.update(_build(name, name if by_name else str(file), folders, whole_index=kind == "group"))
    return tasks


def check_names(names: Sequence[str], include: Sequence[Path]) -> tuple[dict[str, Path], dict[str, tuple[str, Path]]]:
    """The user's tasks, and lm-eval's if one of them is named. Raises UsageError for undefined names."""
    own, included = own_tasks(), included_tasks(include)
    others = [name for name in names if name not in own and name not in included]
    stock = stock_files() if others else {}
    if unknown := [name for name in others if name not in stock]:
        raise unknown_tasks(unknown, [*own, *included, *stock])
    return included, stock


def included_tasks(include: Sequence[Path]) -> dict[str, Path]:
    """The tasks and groups of the user's folders, with their files. Raises UsageError for a missing folder, and for a name
    of our own tasks, which would silently select another benchmark."""
    for folder in include:
        if not folder.is_dir():
            raise UsageError(f"include: {folder} is not a folder", hint="name a folder with lm-eval YAML files")
    found = {name: entry.yaml_path for name, entry in _index(include).items() if entry.yaml_path is not None}
    if taken := sorted(set(found) & set(own_tasks())):
        raise UsageError(
            f"include: {found[taken[0]]} defines `{taken[0]}`, the name of a prerl-spec benchmark",
            hint="rename the task",
        )
    return found


def included_configs(include: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """The configurations of the tasks of the user's folders as their YAML files write them, by name."""
    return {name: dict(entry.cfg) for name, entry in _index(include).items() if entry.cfg}


def stock_files() -> dict[str, tuple[str, Path]]:
    """Name -> ("task" or "group", file) of every named task and group of the installed lm-eval."""
    spec = find_spec("lm_eval.tasks")
    assert spec is not None, "lm-eval is a dependency"
    assert spec.origin is not None, "lm-eval's tasks are a package on disk"
    found: dict[str, tuple[str, Path]] = {}
    for file in sorted(Path(spec.origin).parent.glob("**/*.yaml")):
        for kind, name in _NAMED.findall(file.read_bytes()):
            found.setdefault(name.decode(), (kind.decode(), file))
    return found


def unknown_tasks(names: Sequence[str], known: Iterable[str]) -> UsageError:
    """The error for undefined names, with the nearest defined ones."""
    lines = []
    candidates = list(dict.fromkeys(known))
    for name in names:
        near = get_close_matches(name, candidates, n=3, cutoff=0.6)
        lines.append(
            f"unknown task `{name}`" + (f": did you mean {' or '.join(f'`{n}`' for n in near)}?" if near else "")
        )
    own = ", ".join(sorted(own_tasks()))
    return UsageError("\n".join(lines), hint=f"prerl-spec defines {own}; `lm-eval ls tasks` lists those of lm-eval")


def _index(folders: Sequence[Path]) -> Mapping[str, Any]:
    from lm_eval.tasks import TaskManager

    if not folders:
        return {}
    manager = TaskManager(include_path=[str(folder) for folder in folders], include_defaults=False)
    return dict(manager.task_index)


def _build(name: str, asked: str, folders: Sequence[Path], *, whole_index: bool) -> dict[str, Any]:
    """Builds the tasks of a name or file; only lm-eval's own groups need its whole index."""
    from lm_eval.tasks import TaskManager

    try:
        manager = TaskManager(include_path=[str(f) for f in folders] or None, include_defaults=whole_index)
        with without_strange_code():
            return dict(manager.load([asked])["tasks"])
    except PrerlError as error:
        raise type(error)(f"task `{name}`: {error.message}", hint=error.hint) from error
    # A task's YAML may run any code and fetch anything: any exception must reach the user with its cause.
    except Exception as error:
        raise EnvironmentUnmet(
            f"task `{name}` could not be built from {asked}: {type(error).__name__}: {error}",
            hint=f'if its data set is unreachable, provide local rows: data = {{ {name} = "rows.jsonl" }}',
        ) from error


def _with_local_rows(name: str, file: Path, rows: Path, folder: Path) -> Path:
    """Writes a YAML that includes the task's own and overrides its data set; lm-eval merges by `include` only."""
    from lm_eval.tasks import TaskManager

    if not rows.is_file():
        raise EnvironmentUnmet(f"the rows of {name} do not exist: {rows}", hint="write the path of a JSON Lines file")
    require_readable(name, rows)
    known = TaskManager(include_path=str(file.parent), include_defaults=False).task_index
    config = known[name].cfg if name in known else {}
    split = config.get("test_split") or config.get("validation_split")
    if not split:
        raise UsageError(f"data: `{name}` is not a single task with rows", hint="name a task, not a group")
    override = {
        "include": str(file),
        "task": name,
        "dataset_path": "json",
        "dataset_name": None,
        "dataset_kwargs": {"data_files": {split: str(rows)}},
        "training_split": None,
        "fewshot_split": split,
    }
    target = folder / f"{name}.yaml"
    write_whole(target, json.dumps(override, indent=1))  # JSON is YAML
    return target
