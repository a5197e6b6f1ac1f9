"""Finds tasks by name: first our own, then those of the user's folders, then those of the installed lm-eval.

`lm_eval/NAME` is lm-eval's own in any case. Tasks, groups and tags are found alike; only what is asked for is built.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from jinja2.exceptions import TemplateError

from prerl_spec.codes import Code
from prerl_spec.errors import EnvironmentUnmet, PrerlError, UsageError
from prerl_spec.evaluation.names import FORMER, STOCK, bare, fewshot_key, is_stock, toml_key
from prerl_spec.evaluation.packs import own_tasks
from prerl_spec.evaluation.tasks.local_rows import evaluated_split, override_of
from prerl_spec.evaluation.tasks.rows import require_readable, require_rows
from prerl_spec.evaluation.tasks.stock_index import Named, has_lm_eval, names_below, needed_for, stock_names
from prerl_spec.evaluation.tasks.strange_code import without_strange_code
from prerl_spec.evaluation.tasks.task_faults import COLUMNS_HINT, FIRST_ROW_HINT
from prerl_spec.evaluation.tasks.task_yaml import read_task
from prerl_spec.storage.disk import write_whole


@dataclass(frozen=True)
class Loaded:
    """A task that lm-eval has built, and the name that asked for it: its own, or that of a group or tag."""

    task: Any
    asked: str


def load_tasks(
    names: Sequence[str],
    *,
    include: Sequence[Path],
    data: Mapping[str, Path],
    folder: Path,
    num_fewshot: int | None = None,
) -> dict[str, Loaded]:
    """Builds the tasks of these names, none of them our own; a group or a tag expands to its tasks.

    Of a name `lm_eval/NAME` every task is called `lm_eval/TASK`. `data` replaces a task's hub data set by local JSON Lines
    files (see `local_rows`); the override is written to `folder`. `num_fewshot` None: the task's own number.
    Raises UsageError for unknown names, EnvironmentUnmet for a task that cannot be built.
    """
    included, stock = check_names(names, include)
    tasks: dict[str, Loaded] = {}
    for name in names:
        own = {} if is_stock(name) else included
        known = {**stock, **own}
        found = needed_for(bare(name), known)
        if name in data:
            file = _with_local_rows(name, known[bare(name)], data, folder, num_fewshot)
            found = {bare(name): Named("task", file)}
        built = _build(name, found)
        prefix = STOCK if is_stock(name) else ""
        for leaf, task in built.items():
            if prefix:
                task.set_config("task", prefix + leaf)
            tasks.setdefault(prefix + leaf, Loaded(task, name))
    return tasks


def check_names(names: Sequence[str], include: Sequence[Path]) -> tuple[dict[str, Named], Mapping[str, Named]]:
    """The names of the user's folders, and lm-eval's if one of them is needed. Raises UsageError for undefined names."""
    own, included = own_tasks(), included_names(include)
    if former := [name for name in names if name in FORMER]:
        ways = FORMER[former[0]]
        raise UsageError(
            f"{Code.RENAMED}: the task `{former[0]}` is now `{ways[0]}`", hint=f"write {' or '.join(ways)}"
        )
    needs_stock = any(is_stock(name) or (name not in own and name not in included) for name in names)
    needs_stock = needs_stock or any(included[name].kind == "group" for name in names if name in included)
    stock = stock_names() if needs_stock else {}
    unknown = [
        name
        for name in names
        if (
            bare(name) not in stock
            if is_stock(name)
            else name not in own and name not in included and name not in stock
        )
    ]
    if unknown:
        raise unknown_tasks(unknown, [*own, *included, *stock], stock)
    return included, stock


def included_names(include: Sequence[Path]) -> dict[str, Named]:
    """The tasks, groups and tags of the user's folders; of a name in two folders the later one counts, as in lm-eval.

    Raises UsageError for a missing folder, and for a name of our own tasks, which would silently select another benchmark.
    """
    found: dict[str, Named] = {}
    for folder in include:
        if not folder.is_dir():
            raise UsageError(f"include: {folder} is not a folder", hint="name a folder with lm-eval YAML files")
        found |= names_below(folder.resolve())
    if taken := sorted(found.keys() & own_tasks().keys()):
        raise UsageError(
            f"include: {found[taken[0]].file or 'a tag'} defines `{taken[0]}`, the name of a prerl-spec benchmark",
            hint="rename the task",
        )
    return found


def included_configs(include: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """The configurations of the tasks of the user's folders, with what their YAML files include, by name."""
    found = included_names(include)
    return {name: read_task(named.file) for name, named in found.items() if named.file is not None}


def known_config(name: str, include: Sequence[Path]) -> Mapping[str, Any] | None:
    """What the YAML of a single task that is not ours says; None for groups and tags, and where there is no such task or no
    lm-eval."""
    names: Mapping[str, Named] = {}
    if not is_stock(name):
        names = {key: named for folder in include if folder.is_dir() for key, named in names_below(folder).items()}
    if bare(name) not in names and has_lm_eval():
        names = stock_names()
    named = names.get(bare(name))
    if named is None or named.kind != "task" or named.file is None:
        return None
    try:
        return read_task(named.file)
    except (OSError, ValueError):
        return None


def unknown_tasks(names: Sequence[str], known: Iterable[str], stock: Iterable[str]) -> UsageError:
    """The error for undefined names, with the nearest defined ones; those of lm-eval alone for `lm_eval/NAME`."""
    lines = []
    every, theirs = list(dict.fromkeys(known)), list(stock)
    for name in names:
        prefix, candidates = (STOCK, theirs) if is_stock(name) else ("", every)
        near = [prefix + found for found in get_close_matches(bare(name), candidates, n=3, cutoff=0.6)]
        lines.append(
            f"unknown task `{name}`" + (f": did you mean {' or '.join(f'`{n}`' for n in near)}?" if near else "")
        )
    own = ", ".join(sorted(own_tasks()))
    return UsageError("\n".join(lines), hint=f"prerl-spec defines {own}; `lm-eval ls tasks` lists those of lm-eval")


def _build(name: str, needed: Mapping[str, Named]) -> dict[str, Any]:
    """Builds the tasks of a name from an index of nothing but what it needs, by lm-eval's own factory."""
    from lm_eval.tasks import TaskManager
    from lm_eval.tasks._index import Entry, Kind

    kinds = {"task": Kind.TASK, "group": Kind.GROUP, "tag": Kind.TAG}
    for found in needed.values():
        _require_local_rows(name, found)
    try:
        manager = TaskManager(include_defaults=False)
        for key, found in needed.items():
            manager.task_index[key] = Entry(key, kinds[found.kind], found.file, tags=set(found.members))
        with without_strange_code():
            return dict(manager.load([bare(name)])["tasks"])
    except PrerlError as error:
        raise type(error)(f"task `{name}`: {error.message}", hint=error.hint) from error
    # A task's YAML may run any code and fetch anything: any exception must reach the user with its cause.
    except Exception as error:
        files = sorted({str(found.file) for found in needed.values() if found.file is not None})
        of_file = files[0] if len(files) == 1 else f"{len(files)} files"
        hint = f'if its data set is unreachable, provide local rows: data = {{ {toml_key(name)} = "rows.jsonl" }}'
        raise EnvironmentUnmet(
            f"task `{name}` could not be built from {of_file}: {type(error).__name__}: {error}",
            hint=_hint_of(error) or hint,
        ) from error


def _hint_of(error: Exception) -> str | None:
    """What a row was at fault of: lm-eval renders the first one while it builds a task."""
    if isinstance(error, TemplateError):
        return COLUMNS_HINT
    return FIRST_ROW_HINT if isinstance(error, IndexError) else None


def local_files(config: Mapping[str, Any], *splits: str) -> list[Path]:
    """The JSON Lines files that a task's YAML names for some of its splits ("test_split"), or for all of them."""
    files = (config.get("dataset_kwargs") or {}).get("data_files")
    if config.get("dataset_path") != "json" or files is None:
        return []
    if isinstance(files, Mapping):
        wanted = {config.get(split) for split in splits} if splits else set(files)
        files = [file for split, named in files.items() if split in wanted for file in _listed(named)]
    return [Path(file) for file in _listed(files)]


def _listed(files: Any) -> list[str]:
    return [files] if isinstance(files, str) else [file for file in files or () if isinstance(file, str)]


def _require_local_rows(name: str, found: Named) -> None:
    """Raises EnvironmentUnmet for a local file of a task that is not there, cannot be read or has no row: lm-eval's own error
    would name none of them."""
    if found.kind != "task" or found.file is None:
        return
    for file in local_files(read_task(found.file)):
        if file.suffix == ".jsonl" and "*" not in str(file) and "://" not in str(file):
            require_rows(name, file)


def _with_local_rows(name: str, found: Named, data: Mapping[str, Path], folder: Path, num_fewshot: int | None) -> Path:
    """Writes a YAML that includes the task's own and overrides its data set; lm-eval merges by `include` only."""
    examples = data.get(fewshot_key(name))
    for file in (data[name], examples):
        if file is None:
            continue
        if not file.is_file():
            raise EnvironmentUnmet(
                f"the rows of {name} do not exist: {file}", hint="write the path of a JSON Lines file"
            )
        require_readable(name, file)
    config = {} if found.file is None or found.kind != "task" else read_task(found.file)
    if evaluated_split(config) is None:
        raise UsageError(f"data: `{name}` is not a single task with rows", hint="name a task, not a group")
    override = {"include": str(found.file), **override_of(name, config, data[name], examples, num_fewshot)}
    target = folder / f"{name.replace('/', '_')}.yaml"
    write_whole(target, json.dumps(override, indent=1))  # JSON is YAML
    return target
