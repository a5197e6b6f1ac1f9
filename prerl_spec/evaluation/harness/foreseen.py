"""What scoring would refuse of an evaluator's task names and local rows, found without loading lm-eval or any task.

Names are looked for in the text of YAML files, and rather too many are taken for known than too few. Whether a task's own
code and its data set on the hub do as its YAML says is only known when it is loaded.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from prerl_spec.compiler.estimates.prerequisites import has_train
from prerl_spec.errors import EnvironmentUnmet
from prerl_spec.evaluation.harness.catalogue import OWN_FOLDER
from prerl_spec.evaluation.harness.rows import file_rows, require_readable
from prerl_spec.json_lines import count_json_lines

STOCK = "lm_eval/"
"""Prefix of a name that means lm-eval's own task of that name."""
_NAMED = re.compile(r"^[ \t]*(?:-[ \t]*)?(task|group):[ \t]*[\"']?([\w./-]+)[\"']?[ \t]*(?:#.*)?$", re.MULTILINE)
_TAGGED = re.compile(r"^tag:[ \t]*(?:[\"']?([\w./-]+)[\"']?[ \t]*(?:#.*)?$|((?:\n[ \t]*-.*)+))", re.MULTILINE)
_ITEM = re.compile(r"-[ \t]*[\"']?([\w./-]+)")


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
    known = _own_and(include)
    missing = [name for name in names if name not in known]
    stock = _stock() if missing else {}
    for name in missing:
        if name.removeprefix(STOCK) not in stock:
            near = get_close_matches(name.removeprefix(STOCK), list(dict.fromkeys([*known, *stock])), n=3, cutoff=0.6)
            words = f": did you mean {' or '.join(f'`{n}`' for n in near)}?" if near else ""
            yield Refused(name, f"no such task{words}", "`lm-eval ls tasks` lists those of lm-eval")


def refused_rows(data: Mapping[str, Path], include: Sequence[Path]) -> Iterator[Refused]:
    """The tasks whose local rows cannot be read, or that are groups. A file that is not there is a need of its own."""
    own = _names(OWN_FOLDER)
    for task, file in data.items():
        if not file.is_file():
            continue
        try:
            _require_rows(task, file, of_our_own=task in own)
        except EnvironmentUnmet as error:
            yield Refused(task, error.message, error.hint or "fix these rows")
            continue
        kind = _own_and(include).get(task) or (_stock() if has_train() else {}).get(task)
        if kind in ("group", "tag"):
            yield Refused(
                task, f"a {kind} of tasks has no rows of its own", "name one of its tasks, here and in `tasks`"
            )


def _require_rows(task: str, file: Path, *, of_our_own: bool) -> None:
    """Raises EnvironmentUnmet."""
    if of_our_own:
        file_rows(task, file, None)
        return
    require_readable(task, file)
    if not count_json_lines(file):
        raise EnvironmentUnmet(f"{file} contains no rows for {task}", hint="write one JSON object a line")


def _own_and(include: Sequence[Path]) -> dict[str, str]:
    return {**{n: kind for folder in include for n, kind in _names(folder).items()}, **_names(OWN_FOLDER)}


@cache
def _stock() -> dict[str, str]:
    """Of the installed lm-eval; a process asks once, since there are 14,000 files."""
    spec = find_spec("lm_eval.tasks")
    return {} if spec is None or spec.origin is None else _names(Path(spec.origin).parent)


def _names(folder: Path) -> dict[str, str]:
    """Name -> "task", "group" or "tag", of the YAML files below a folder, templates without an extension included."""
    found: dict[str, str] = {}
    for file in sorted(folder.glob("**/*yaml")):
        text = file.read_text(encoding="utf-8", errors="replace")
        for kind, name in _NAMED.findall(text):
            found.setdefault(name, kind)
        for single, several in _TAGGED.findall(text):
            for tag in [single] if single else _ITEM.findall(several):
                found.setdefault(tag, "tag")
    return found
