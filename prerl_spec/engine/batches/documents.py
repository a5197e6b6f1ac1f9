"""The documents of supervised phases: their tokens, those that a run draws, and those that do not fit the model.

Documents that are not drawn are not read: a corpus may be large, and a run short.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate, tee

from prerl_spec.compiler.graph import Graph, Phase
from prerl_spec.engine.batches.cursor import epoch_order, shares
from prerl_spec.engine.processes.streams import Streams
from prerl_spec.errors import EnvironmentUnmet
from prerl_spec.prompts import render_all
from prerl_spec.registry.kinds.data import DataSet
from prerl_spec.text import Codec
from prerl_spec.types import Row

_SHOWN = 10


def framed(
    context: tuple[int, ...], document: tuple[int, ...], codec: Codec, *, whole: bool
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(context, trained tokens) of a document: with `whole` (scope = "all") its context is trained too, behind the prefix
    "auto"."""
    if not whole:
        return context, document
    start = codec.prefix("auto")
    rest = context[len(start) :] if context[: len(start)] == start else context
    return start, (*rest, *document)


def document_of(name: str, row: Row) -> str:
    """Raises EnvironmentUnmet, with the row's place, for a row without one."""
    if row.document is None:
        raise EnvironmentUnmet(
            f"data.{name}: {row.where} has no document to train on",
            hint="set `document` to the column that holds the text, or use another data set in the phase",
        )
    return row.document


def drawn_documents(graph: Graph, name: str, size: int) -> Sequence[int]:
    """Indices, ascending, into the `size` rows of a data set that hold every document which the supervised phases may draw:
    as many of an epoch's order as their steps take at most, from where the data set was last begun anew. Of a mixture only
    the slots count that fall to the data set.

    All rows where that is only known in the run: a run that starts from another, a schedule without a maximum of steps,
    rollouts from the same rows before.
    """
    if graph.plan.get("start") is not None:
        return range(size)
    drawn: set[int] = set()
    streams = Streams(graph.run.seed, graph.run.streams)
    taken: int | None = 0
    before: int | None = 0
    for phase in graph.phases:
        steps = phase.schedule.component.max_steps
        if name in phase.data:
            if phase.sampler is not None or steps is None or taken is None:
                taken = None
            else:
                taken += _most_taken(phase, name, steps, before, streams)
            if phase.sampler is None:
                if taken is None or taken > size:
                    return range(size)
                # The first epoch's order, which hangs on the phase or on no step at all.
                drawn.update(epoch_order(streams.of_step(phase.id, 1, 1).order(name, 0), size)[:taken].tolist())
        taken = 0 if phase.restart_data else taken
        before = None if before is None or steps is None else before + steps
    return sorted(drawn)


def _most_taken(phase: Phase, name: str, steps: int, before: int | None, streams: Streams) -> int:
    """The most documents of a data set that a phase takes in `steps` steps, behind at most `before` steps of earlier phases,
    which may end sooner; None: nobody knows how many."""
    count = phase.documents_per_step or 1
    named_by_run = streams.kind == "global"
    if len(phase.data) == 1 or (named_by_run and before is None):
        return steps * count
    earlier = before if named_by_run and before is not None else 0
    each = (
        shares(phase.data, count, streams=streams.of_step(phase.id, number, number), refill=0).count(name)
        for number in range(1, earlier + steps + 1)
    )
    until = list(accumulate(each, initial=0))
    return max(until[first + steps] - until[first] for first in range(earlier + 1))


def check_documents(
    name: str,
    data: DataSet,
    codec: Codec,
    *,
    longest: int,
    whole: bool,
    drawn: Sequence[int],
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> Sequence[int]:
    """The rows whose question and document fit the model, EOS included: with over_long = "drop" of all rows, else every row,
    of which those in `drawn` have been looked at.

    Raises EnvironmentUnmet for a data set without documents, and with the places of documents in `drawn` that are too long.
    """
    rows = range(len(data))
    document_of(name, data.row(0))
    looked_at = rows if data.over_long == "drop" else drawn
    too_long = _too_long(name, data, codec, longest, whole, looked_at, tick)
    if data.over_long == "drop":
        return [n for n in rows if n not in too_long]
    if too_long:
        lines = list(too_long.values())
        shown = "\n".join(f"  {line}" for line in lines[:_SHOWN])
        more = "" if len(lines) <= _SHOWN else f"\n  ... and {len(lines) - _SHOWN} more"
        one = len(lines) == 1
        raise EnvironmentUnmet(
            f"data.{name}: {len(lines)} {'document is' if one else 'documents are'} longer than the model's context of "
            f"{longest} tokens\n{shown}{more}",
            hint='drop such rows with over_long = "drop", shorten them, or use a model with a longer context: documents are '
            "never truncated",
        )
    return rows


def _too_long(
    name: str,
    data: DataSet,
    codec: Codec,
    longest: int,
    whole: bool,
    numbers: Sequence[int],
    tick: Callable[[int, int], None],
) -> dict[int, str]:
    """Row number → place and length in tokens of each document that does not fit."""
    found: dict[int, str] = {}
    rows, rendered = tee((number, data.row(number)) for number in numbers)
    prompts = render_all(rendered, name, data.rendering, codec)
    for done, ((number, row), prompt) in enumerate(zip(rows, prompts, strict=True), 1):
        tokens = (*codec.encode(document_of(name, row)), codec.eos_id)
        length = sum(map(len, framed(prompt.context, tokens, codec, whole=whole)))
        if length > longest:
            found[number] = f"{row.where}: {length} tokens"
        tick(done, len(numbers))
    return found
