"""What a run says of questions that its data asks more than once: nothing is dropped, a repeated row is drawn as often."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from prerl_spec.compiler.graph import Graph
from prerl_spec.engine.batches.datasets import OpenDataSet
from prerl_spec.prompts import RENDERED_TOGETHER, question_texts
from prerl_spec.questions.repeats import repeated
from prerl_spec.registry.kinds.data import DataSet, ReadFromSource


def repetition_warnings(graph: Graph, datasets: Mapping[str, OpenDataSet]) -> Iterator[str]:
    """One line for each data set that is sampled from and asks a question twice. Golds are compared as text: which of
    them differ in meaning, only the verifier knows. Generated rows are no fault that somebody could mend."""
    sampled = dict.fromkeys(name for phase in graph.phases if phase.sampler is not None for name in phase.data)
    for name in sampled:
        dataset = datasets[name]
        if not isinstance(dataset.data, ReadFromSource):
            continue
        groups = repeated(asked(dataset.data, dataset.rows))
        golds = [{dataset.data.row(dataset.rows[place]).gold for place in group} for group in groups]
        if groups:
            repeats = sum(len(group) - 1 for group in groups)
            differing = sum(len(of_group) > 1 for of_group in golds)
            written = (
                f", and the golds of {_counted(differing, 'question')} are written differently" if differing else ""
            )
            yield (
                f"data.{name}: {_counted(repeats, 'row')} of {len(dataset.rows):,} ask{'s' if repeats == 1 else ''} a "
                f"question again{written}: `prerl-spec check-data SPEC` names them"
            )


def asked(data: DataSet, numbers: Sequence[int]) -> Iterator[str | None]:
    """The question of each of these rows as the template renders it; None for a row that has none."""
    waiting = iter(numbers)
    while chunk := [data.row(number) for number in islice(waiting, RENDERED_TOGETHER)]:
        asks = [row.question is not None or data.rendering.template is not None for row in chunk]
        texts = iter(question_texts([row for row, has in zip(chunk, asks, strict=True) if has], data.rendering))
        for has in asks:
            text = next(texts) if has else None
            yield text if isinstance(text, str) else None


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
