"""Faults in a stock task's YAML or rows that lm-eval scores without a word: no rows, equal prompts, a column without value."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

from prerl_spec.errors import EnvironmentUnmet, PrerlError, UsageError
from prerl_spec.evaluation.tasks.local_rows import too_few_examples

FIRST_ROW_HINT = "look at row 0: it has no choice, or an empty one"
COLUMNS_HINT = "compare the columns of the rows with the templates of its YAML"
_SHOWN = 5
_WRITTEN = ("doc_to_text", "doc_to_target", "doc_to_choice")
_MARK = "\0"


class _Absent(str):
    """In place of a column without a value: false, as None is, but its text tells which column was printed."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False


def require_sound(name: str, task: Any, limit: int | None) -> None:
    """Checks what is asked of the first `limit` rows, before a response is drawn.

    Raises EnvironmentUnmet where there is no row, or one has no choices, or lacks a column that the prompt or the answer prints
    (lm-eval would write "None"); UsageError where all rows make the same prompt, or there are fewer worked examples than
    it shows.
    """
    docs = list(islice(task.eval_docs, limit))
    if not docs:
        raise EnvironmentUnmet(f"task `{name}` has no rows", hint="look at its split and its data files")
    if wrong := [line for number, doc in enumerate(docs) for line in _faults(task, number, doc)]:
        count = "1 row" if len(wrong) == 1 else f"{len(wrong)} rows"
        listed = "\n".join(f"  {line}" for line in wrong[:_SHOWN])
        more = f"\n  ... and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise EnvironmentUnmet(f"task `{name}`: {count} cannot be used\n{listed}{more}", hint="fix these rows")
    _require_different_prompts(name, task, docs)
    _require_worked_examples(name, task)


@contextmanager
def told_of_task(name: str) -> Iterator[None]:
    """Names the task in whatever lm-eval raises while it renders the task's rows. Raises EnvironmentUnmet."""
    try:
        yield
    except PrerlError:
        raise
    # The YAML's functions and templates may raise anything.
    except Exception as error:
        raise EnvironmentUnmet(
            f"task `{name}`: its rows cannot be rendered: {type(error).__name__}: {error}",
            hint=COLUMNS_HINT,
        ) from error


def _faults(task: Any, number: int, doc: Mapping[str, Any]) -> Iterator[str]:
    if task.get_config("output_type") == "multiple_choice" and len(task.doc_to_choice(doc)) == 0:
        yield f"row {number}: doc_to_choice has no choice"
        return
    yield from _printed_nones(task, number, doc)


def _printed_nones(task: Any, number: int, doc: Mapping[str, Any]) -> Iterator[str]:
    """A line for a row in which a template prints a column without a value."""
    absent = [column for column, value in doc.items() if value is None]
    if not absent:
        return
    marked = {**doc, **{column: _Absent(f"{_MARK}{column}{_MARK}") for column in absent}}
    for key in _WRITTEN:
        if not isinstance(task.get_config(key), str | list):
            continue
        printed, shown = getattr(task, key)(doc), str(getattr(task, key)(marked))
        missing = [column for column in absent if f"{_MARK}{column}{_MARK}" in shown]
        if missing and (printed is None or "None" in str(printed)):
            yield f'row {number}: no "{missing[0]}", which {key} prints'
            return


def _require_different_prompts(name: str, task: Any, docs: Sequence[Mapping[str, Any]]) -> None:
    if task.get_config("doc_to_image") is not None or task.get_config("doc_to_audio") is not None:
        return
    first = _asked(task, docs[0])
    if len(docs) == 1 or any(_asked(task, doc) != first for doc in islice(docs, 1, None)):
        return
    if all(doc == docs[0] for doc in docs):
        return
    text = str(task.doc_to_text(docs[0]))
    single = next((column for column in docs[0] if "{" + str(column) + "}" in text), None)
    hint = f"write {{{{{single}}}}} for {{{single}}}" if single else f"its rows have the columns {', '.join(docs[0])}"
    raise UsageError(
        f"task `{name}`: all {len(docs)} rows make the same prompt: {text[:80]!r}", hint=f"{hint}, in doc_to_text"
    )


def _asked(task: Any, doc: Mapping[str, Any]) -> list[Any]:
    """What distinguishes one question from another: the prompt, and whatever is scored beside it."""
    kind = task.get_config("output_type")
    asked = [task.doc_to_text(doc)]
    if kind == "multiple_choice":
        asked.append(task.doc_to_choice(doc))
    elif kind != "generate_until":
        asked.append(task.doc_to_target(doc))
    return asked


def _require_worked_examples(name: str, task: Any) -> None:
    wanted = task.get_config("num_fewshot") or 0
    if not wanted:
        return
    rows = task.fewshot_docs()
    if not hasattr(rows, "__len__"):
        return
    # An evaluated row is not among its own examples.
    splits = (task.get_config(key) for key in ("fewshot_split", "training_split", "validation_split", "test_split"))
    own = int(next(filter(None, splits), None) == task.get_config("test_split"))
    if len(rows) - own < wanted:
        raise too_few_examples(name, wanted, max(len(rows) - own, 0))
