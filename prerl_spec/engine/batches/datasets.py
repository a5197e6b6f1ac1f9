"""Opens the run's data sets, renders their prompts, and checks before training every row that is drawn or may be."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import tee
from typing import Any, cast

from prerl_spec.compiler.graph import Graph
from prerl_spec.compiler.rules.row_verifier import data_in_use, row_verifier
from prerl_spec.engine.batches.documents import check_documents, document_of, drawn_documents
from prerl_spec.engine.verification.verifier_pool import GoldCheck
from prerl_spec.errors import EnvironmentUnmet
from prerl_spec.prompts import render, render_all
from prerl_spec.registry.kinds.data import DataSet
from prerl_spec.registry.kinds.judging import Verifier
from prerl_spec.text import Codec
from prerl_spec.types import Prompt

_SHOWN = 10
WORKED = "####"
"""What stands before the answer of a worked solution of GSM8K."""


@dataclass(frozen=True)
class OpenDataSet:
    """An open data set; `rows` are the numbers of the rows in use (over-long ones are dropped if the spec says so)."""

    name: str
    data: DataSet
    verifier: Verifier | None
    rows: Sequence[int]
    codec: Codec

    def prompt(self, place: int) -> Prompt:
        """The prompt at an index into `rows` (0 … len(rows)-1)."""
        number = self.rows[place]
        return render(self.data.row(number), number, self.name, self.data.rendering, self.codec)

    def document_tokens(self, place: int) -> tuple[str, tuple[int, ...]]:
        """A document's text and its token ids, EOS appended."""
        text = document_of(self.name, self.data.row(self.rows[place]))
        return text, (*self.codec.encode(text), self.codec.eos_id)


def open_datasets(
    graph: Graph, codec: Codec, max_length: int, check_golds: GoldCheck, tick: Callable[[str, int, int], None]
) -> dict[str, OpenDataSet]:
    """Opens every data set that a phase or an evaluator uses, with the checks that its use requires.

    `max_length` is the model's maximum length of context and response together, in tokens; `tick("check:NAME", done,
    total)` counts rows, then gold answers.
    """
    datasets = {name: open_dataset(graph, name, codec, max_length, check_golds, tick) for name in data_in_use(graph)}
    for phase in graph.phases:
        check_sizes(datasets, phase.id, phase.data, phase.prompts_per_step or phase.documents_per_step or 1)
    return datasets


def open_dataset(
    graph: Graph,
    name: str,
    codec: Codec,
    max_length: int,
    check_golds: GoldCheck | None,
    tick: Callable[[str, int, int], None],
    most: int | None = None,
) -> OpenDataSet:
    """Opens a data set with the checks that its use requires, of the first `most` rows alone if that is given; without
    `check_golds` not those of gold answers. Raises EnvironmentUnmet, SpecInvalid."""
    named = graph.data[name]
    data = named.component.open(name)
    size = len(data)
    if most is not None:
        data = cast(DataSet, FirstRows(data, most))
    sampled = [p.sampler for p in graph.phases if name in p.data and p.sampler is not None]
    supervised = [p for p in graph.phases if name in p.data and p.sampler is None]
    rows: Sequence[int] = range(len(data))
    has_prompts = bool(sampled) or not supervised
    if has_prompts or data.max_prompt_tokens is not None:
        response = max((sampler.component.max_new_tokens for sampler in sampled), default=1)
        verifier = row_verifier(graph, name) if has_prompts and check_golds is not None else None
        rows = check_prompts(
            name,
            data,
            codec,
            longest=max_length - response,
            check_golds=None if verifier is None or check_golds is None else partial(check_golds, verifier),
            tick=partial(tick, f"check:{name}"),
        )
    if supervised:
        drawn: Sequence[int] = drawn_documents(graph, name, size) if len(rows) == len(data) else rows
        fitting = frozenset(
            check_documents(
                name,
                data,
                codec,
                longest=max_length,
                whole=any(phase.objective.component.scope == "all" for phase in supervised),
                drawn=[n for n in drawn if n < len(data)],
                tick=partial(tick, f"check:{name}"),
            )
        )
        rows = [n for n in rows if n in fitting]
    return OpenDataSet(name, data, named.component.verifier, rows, codec)


class FirstRows:
    """The first rows of a data set, as a data set."""

    def __init__(self, data: DataSet, most: int) -> None:
        self._data = data
        self._most = most

    def __getattr__(self, name: str) -> Any:
        return getattr(self._data, name)

    def __len__(self) -> int:
        return min(self._most, len(self._data))


def check_prompts(
    name: str,
    data: DataSet,
    codec: Codec,
    *,
    longest: int,
    check_golds: Callable[[Sequence[str], Callable[[int, int], None]], list[str | None]] | None,
    tick: Callable[[int, int], None],
) -> list[int]:
    """The rows whose rendered question fits. Rows that are too long, have no question, or have a gold answer that the
    verifier could never match, or whose check fails or takes too long, are dropped if the data set says so; else raises
    EnvironmentUnmet with their locations."""
    limit = min(longest, data.max_prompt_tokens or longest)
    places: list[tuple[str, int]] = []
    faults: list[str | None] = []
    golds: list[str] = []
    # Each row is read once: where rows are generated or decoded, reading them costs more than the check.
    rows, rendered = tee(data.row(number) for number in range(len(data)))
    prompts = render_all(enumerate(rendered), name, data.rendering, codec)
    for number, (row, prompt) in enumerate(zip(rows, prompts, strict=True)):
        places.append((row.where, len(prompt.context)))
        has_question = row.question is not None or data.rendering.template is not None
        faults.append(None if has_question else "it has no question")
        golds.append(row.gold or "")
        tick(number + 1, len(data))
    refusals = [None] * len(golds) if check_golds is None else check_golds(golds, tick)
    kept: list[int] = []
    too_long: list[str] = []
    unusable: list[str] = []
    is_worked = False
    for number, ((where, length), fault, refusal) in enumerate(zip(places, faults, refusals, strict=True)):
        why = fault or refusal
        if length > limit:
            too_long.append(f"{where}: {length} tokens")
        if why is not None:
            unusable.append(f"{where}: {why}")
            is_worked |= WORKED in golds[number]
        if length <= limit and why is None:
            kept.append(number)
    if too_long and data.over_long == "error":
        raise EnvironmentUnmet(
            f"data.{name}: {len(too_long)} questions are longer than {limit} tokens\n{_listed(too_long)}",
            hint='raise max_prompt_tokens, lower max_new_tokens, use a model with a longer context, or set over_long = "drop"',
        )
    if unusable and data.on_bad_row == "error":
        raise EnvironmentUnmet(
            f"data.{name}: {len(unusable)} rows cannot be sampled and verified\n{_listed(unusable)}",
            hint=f'extract = "after:{WORKED}" takes what stands behind it for the answer'
            if is_worked
            else 'fix the rows, drop them with on_bad_row = "drop", or use a verifier that can parse them',
        )
    return kept


def check_sizes(datasets: Mapping[str, OpenDataSet], phase: str, mixture: Mapping[str, float], batch: int) -> None:
    """Raises EnvironmentUnmet if a batch may need more rows than a data set has."""
    for name in mixture:
        have = len(datasets[name].rows)
        if have < batch:
            raise EnvironmentUnmet(
                f"phase {phase}: a step draws {batch} rows, but data.{name} has {have}",
                hint="lower prompts_per_step (documents_per_step), or provide more rows",
            )


def _listed(lines: Sequence[str]) -> str:
    shown = "\n".join(f"  {line}" for line in lines[:_SHOWN])
    return shown if len(lines) <= _SHOWN else f"{shown}\n  ... and {len(lines) - _SHOWN} more"
