"""What the installed lm-eval calls its tasks, groups and tags, found without its own index, which takes fifteen seconds."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from prerl_spec.compiler.estimates.prerequisites import is_installed
from prerl_spec.evaluation.tasks.task_yaml import naming_keys, read_task

_SKIPPED = {"__pycache__", ".ipynb_checkpoints"}


@dataclass(frozen=True)
class Named:
    """What a name stands for: `Named("tag", None, {"arc_easy", "arc_challenge"})`; a tag has members and no file."""

    kind: Literal["task", "group", "tag"]
    file: Path | None = None
    members: set[str] = field(default_factory=set)


def has_lm_eval() -> bool:
    """Whether lm-eval is installed."""
    return is_installed("lm-eval")


@cache
def stock_names() -> Mapping[str, Named]:
    """Every name that the installed lm-eval takes."""
    # Its metadata tell where it is: to ask for `lm_eval.tasks` would import the package around it.
    return names_below(Path(str(metadata.distribution("lm-eval").locate_file("lm_eval/tasks"))))


def names_below(folder: Path) -> dict[str, Named]:
    """The names that lm-eval finds in a folder: of files in order of their paths, the first of a name wins.

    A file that cannot be read names nothing, as in lm-eval. A tag that a file inherits from what it includes counts.
    """
    found: dict[str, Named] = {}
    known: dict[str, Mapping[str, Any]] = {}
    for file in sorted(_yaml_files(folder)):
        with suppress(OSError, ValueError):
            _add(found, file, naming_keys(file, known))
    return found


def _yaml_files(folder: Path) -> Iterator[str]:
    for place, inner, files in os.walk(folder):
        inner[:] = [name for name in inner if name not in _SKIPPED]
        yield from (os.path.join(place, file) for file in files if file.endswith(".yaml"))


def _add(found: dict[str, Named], file: str, keys: Mapping[str, Any]) -> None:
    is_group = "group" in keys and "class" not in keys
    name = keys.get("group" if is_group else "task")
    if not isinstance(name, str) or name in found:
        return
    found[name] = Named("group" if is_group else "task", Path(file))
    if is_group:
        return
    tags = keys.get("tag") or []
    for tag in tags if isinstance(tags, list) else [tags]:
        found.setdefault(tag, Named("tag")).members.add(name)


def needed_for(name: str, names: Mapping[str, Named]) -> dict[str, Named]:
    """The name with everything that building it asks an index for: members of groups and tags, theirs in turn."""
    found: dict[str, Named] = {}
    pending = [name]
    while pending:
        asked = pending.pop()
        named = names.get(asked)
        if named is None or asked in found:
            continue
        found[asked] = named
        pending += sorted(named.members)
        if named.kind == "group" and named.file is not None:
            pending += members(read_task(named.file).get("task"))
    return found


def members(listed: Any) -> Iterator[str]:
    """The names in a group's `task`, those of groups that it defines inside included."""
    for item in listed if isinstance(listed, list) else []:
        if isinstance(item, str):
            yield item
        elif isinstance(item, Mapping):
            yield from (item[key] for key in ("group", "task") if isinstance(item.get(key), str))
            yield from members(item.get("task"))


def tasks_of(name: str, names: Mapping[str, Named]) -> list[str]:
    """The single tasks behind a name, as far as files of their own define them."""
    return [asked for asked, named in needed_for(name, names).items() if named.kind == "task"]
