"""Rows of our own benchmarks, from a local JSON Lines file or the hub, with columns `problem` and `answer`."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from prerl_spec.errors import EnvironmentUnmet
from prerl_spec.evaluation.names import toml_key
from prerl_spec.evaluation.packs.columns import NO_OBJECT, Columns, question_and_answer
from prerl_spec.evaluation.packs.pack import Pack
from prerl_spec.json_lines import BLANK, UnreadableLine, read_json_lines, text_fault

_SHOWN = 10


def file_rows(
    task: str,
    file: Path,
    check_golds: Callable[[Sequence[str]], Sequence[str | None]] | None,
    columns: Columns | None = None,
) -> list[dict[str, str]]:
    """Reads a JSON Lines file with the task's columns, or with `problem` (or `question`) and `answer`.

    Raises EnvironmentUnmet, with file and line, for a line that is not JSON (see `read_json_lines`), a row that
    lacks one of them, and a gold answer for which `check_golds` has a reason why it cannot be used.
    """
    rows, places, wrong = list[dict[str, str]](), list[int](), dict[int, str]()
    for number, (where, value) in enumerate(_read(task, file)):
        try:
            rows.append(question_and_answer(value, columns))
        except ValueError as error:
            wrong[number] = f"{where}: {error}"
            continue
        places.append(number)
        wrong[number] = where
    refusals = [None] * len(rows) if check_golds is None else check_golds([row["answer"] for row in rows])
    for number, why in zip(places, refusals, strict=True):
        if why is None:
            del wrong[number]
        else:
            wrong[number] += f": {why}"
    _refuse(task, list(wrong.values()))
    if not rows:
        raise EnvironmentUnmet(f"{file} contains no rows for {task}", hint=_local_rows_hint(task))
    return rows


def require_readable(task: str, file: Path) -> None:
    """Raises EnvironmentUnmet, with file and line, for a JSON Lines file whose columns a task of lm-eval reads itself."""
    wrong = list[str]()
    for where, value in _read(task, file):
        if isinstance(value, UnreadableLine):
            wrong.append(f"{where}: {value.reason}")
        elif not isinstance(value, Mapping):
            wrong.append(f"{where}: {NO_OBJECT}")
        else:
            columns = ((name, text_fault(text)) for name, text in value.items() if isinstance(text, str))
            wrong += [f'{where}: "{name}" {fault}' for name, fault in columns if fault is not None]
    _refuse(task, wrong)


def _read(task: str, file: Path) -> Iterator[tuple[str, Any]]:
    """The lines that are not blank, each with its place."""
    try:
        for where, value in read_json_lines(file):
            if value is not BLANK:
                yield str(file.parent / where), value
    except OSError as error:
        raise EnvironmentUnmet(
            f"the rows of {task} cannot be read: {file}: {error.strerror}", hint=_local_rows_hint(task)
        ) from error


def _refuse(task: str, wrong: list[str]) -> None:
    if wrong:
        count = "1 row" if len(wrong) == 1 else f"{len(wrong)} rows"
        raise EnvironmentUnmet(f"{task}: {count} cannot be used\n{_listed(wrong)}", hint="fix these rows")


def hub_rows(pack: Pack) -> list[dict[str, str]]:
    """Reads a benchmark's hub data set. Raises EnvironmentUnmet if it is unreachable."""
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError

    assert pack.hub is not None, f"the rows of {pack.name} are generated"
    try:
        data: Iterable[Mapping[str, Any]] = load_dataset(
            pack.hub, pack.hub_name, split=pack.split, revision=pack.revision
        )
    except (OSError, ValueError, DatasetsError) as error:
        raise EnvironmentUnmet(
            f"{pack.name}: the data set {pack.hub} cannot be reached: {error}", hint=_local_rows_hint(pack.name)
        ) from error
    rows, wrong = list[dict[str, str]](), list[str]()
    for number, row in enumerate(data):
        try:
            rows.append(question_and_answer(row, pack.columns))
        except ValueError as error:
            wrong.append(f"{pack.hub}, row {number} of {pack.split}: {error}")
    if wrong:
        raise EnvironmentUnmet(
            f"{pack.name}: {len(wrong)} rows of the hub's data set cannot be used\n{_listed(wrong)}",
            hint=_local_rows_hint(pack.name),
        )
    return rows


def require_rows(task: str, file: Path) -> None:
    """Raises EnvironmentUnmet, with file and line, for a JSON Lines file that a task of lm-eval cannot read, or that has no
    row."""
    require_readable(task, file)
    if next(_read(task, file), None) is None:
        raise EnvironmentUnmet(f"{file} contains no rows for {task}", hint=_local_rows_hint(task))


def _local_rows_hint(task: str) -> str:
    return f'provide local rows: data = {{ {toml_key(task)} = "rows.jsonl" }}, or --data {task}=rows.jsonl on the command line'


def _listed(lines: list[str]) -> str:
    shown = "\n".join(f"  {line}" for line in lines[:_SHOWN])
    return shown if len(lines) <= _SHOWN else f"{shown}\n  ... and {len(lines) - _SHOWN} more"
