"""What the data of lm-eval's tasks lack, by their YAML alone: the data sets that they read from the hub, and the columns that
local rows do not have."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import TemplateSyntaxError, nodes
from jinja2.sandbox import SandboxedEnvironment

from prerl_spec.evaluation.names import STOCK, bare, is_stock, task_of_rows
from prerl_spec.evaluation.packs import packs
from prerl_spec.evaluation.tasks.catalogue import included_names, known_config
from prerl_spec.evaluation.tasks.foreseen import Refused
from prerl_spec.evaluation.tasks.local_rows import num_examples
from prerl_spec.evaluation.tasks.stock_index import has_lm_eval, stock_names, tasks_of
from prerl_spec.evaluation.tasks.task_faults import COLUMNS_HINT
from prerl_spec.json_lines import read_json_lines

WRITTEN = ("doc_to_text", "doc_to_target", "doc_to_choice")
_EVALUATED = (
    nodes.Template,
    nodes.Output,
    nodes.Filter,
    nodes.Getattr,
    nodes.Getitem,
    nodes.Concat,
    nodes.Add,
    nodes.Sub,
    nodes.Mul,
    nodes.Div,
    nodes.FloorDiv,
    nodes.Mod,
    nodes.Pow,
    nodes.Neg,
    nodes.Pos,
    nodes.Call,
)
"""Parts of a template that are evaluated with every part of theirs, whatever a row holds, and fail on a column that is not
there. Of no other is that sure: a branch, a loop, `or`, a test, a macro; a list prints the column as undefined."""
Placed = tuple[str, Mapping[str, Any]]
"""A row, and where it stands: ("rows.jsonl:3", {"question": "1+1?"})."""
_MENDING_FILTERS = ("default", "d")


class HubData(NamedTuple):
    """`HubData("openai/gsm8k", None, "gsm8k")`: a data set of the hub at a revision, and the name that asks for it."""

    path: str
    revision: str | None
    task: str


def hub_data(names: Sequence[str], data: Mapping[str, Path], include: Sequence[Path]) -> Iterator[HubData]:
    """The data sets of the tasks that are not ours and have no local rows, each revision once; of groups and tags those of
    their tasks. Nothing of tasks that are code."""
    seen: set[tuple[str, str | None]] = set()
    for name in names:
        for task in () if name in data or name in packs() else _leaves(name, include):
            config = known_config(task, include) or {}
            path = config.get("dataset_path")
            if not isinstance(path, str) or "custom_dataset" in config or "class" in config:
                continue
            written = (config.get("dataset_kwargs") or {}).get("revision")
            revision = written if isinstance(written, str) else None
            if (path, revision) in seen or path in file_formats() or Path(path).exists():
                continue
            seen.add((path, revision))
            yield HubData(path, revision, name)


@cache
def file_formats() -> frozenset[str]:
    """What `dataset_path` may be besides a data set: a format of files that the installed `datasets` reads ("json")."""
    try:
        place = Path(str(metadata.distribution("datasets").locate_file("datasets"))) / "packaged_modules"
        return frozenset(folder.name for folder in place.iterdir())
    except (metadata.PackageNotFoundError, OSError):
        return frozenset({"json"})


def _leaves(name: str, include: Sequence[Path]) -> list[str]:
    """The single tasks behind a name, named as the name is."""
    if not has_lm_eval() or not all(folder.is_dir() for folder in include):
        return []
    if is_stock(name):
        return [STOCK + task for task in tasks_of(bare(name), stock_names())]
    return tasks_of(name, {**stock_names(), **included_names(include)})


def lacking_columns(
    data: Mapping[str, Path], include: Sequence[Path], num_fewshot: int | None = None, limit: int | None = None
) -> Iterator[Refused]:
    """The tasks of which a template prints a column that no local row has, or that one of the first `limit` rows to ask has no
    value of. Few-shot examples count where some are shown."""
    for name, file in data.items():
        task = task_of_rows(name)
        config = None if task in packs() or not file.is_file() else known_config(task, include)
        if config is None or (name != task and not num_examples(config, num_fewshot)):
            continue
        if name != task:
            config = {**config, **(config.get("fewshot_config") or {})}
        if config.get("process_docs") is not None:
            continue
        try:
            rows = [(where, row) for where, row in read_json_lines(file) if isinstance(row, Mapping)]
        except OSError:
            continue
        templates = {key: template for key in WRITTEN if isinstance(template := config.get(key), str)}
        found = _without_column(file, rows, templates)
        if found is None and name == task:
            found = _without_value(rows, rows[:limit], templates)
        if found is not None:
            yield Refused(task, found, COLUMNS_HINT)


def _without_column(file: Path, rows: Sequence[Placed], templates: Mapping[str, str]) -> str | None:
    columns = _columns(rows)
    for key, template in templates.items():
        if columns and (lacking := sorted(_printed(template) - columns)):
            there = ", ".join(sorted(columns))
            return f'{file.name}: no row has "{lacking[0]}", which {key} prints; there is {there}'
    return None


def _without_value(rows: Sequence[Placed], asked: Sequence[Placed], templates: Mapping[str, str]) -> str | None:
    """The first of the rows to ask that lacks what others have: lm-eval would print it as None."""
    columns = _columns(rows)
    bare = {key: {template} & columns or _printed(template, bare=True) for key, template in templates.items()}
    for where, row in asked:
        for key, names in bare.items():
            if lacking := sorted(name for name in names if row.get(name) is None):
                return f'{where}: no "{lacking[0]}", which {key} prints'
    return None


def _columns(rows: Sequence[Placed]) -> set[str]:
    return {column for _, row in rows for column in row}


def _printed(template: str, *, bare: bool = False) -> set[str]:
    """The columns that a template prints of every row; with `bare` those alone that no filter or function is given, which may
    make something of None."""
    environment = SandboxedEnvironment()
    try:
        parsed = environment.parse(template)
    except TemplateSyntaxError:
        return set()
    own = {name.name for name in parsed.find_all(nodes.Name) if name.ctx != "load"}
    own |= {macro.name for macro in parsed.find_all(nodes.Macro)}
    return set(_evaluated(parsed, bare)) - own - environment.globals.keys()


def _evaluated(node: nodes.Node, bare: bool) -> Iterator[str]:
    """The names that are looked up in any case."""
    if isinstance(node, nodes.Name):
        yield node.name
    elif isinstance(node, nodes.Filter) and (bare or node.name in _MENDING_FILTERS):
        return
    elif isinstance(node, nodes.Call) and bare:
        yield from _evaluated(node.node, bare)
    elif isinstance(node, _EVALUATED):
        for part in node.iter_child_nodes():
            yield from _evaluated(part, bare)
