"""Training texts compared with the questions of the spec's benchmarks: whole, and in passages of 13 words."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from prerl_spec.compiler.graph import Graph
from prerl_spec.engine.data_check.report import BenchmarkReport, Finding, Kind
from prerl_spec.prompts import question_text
from prerl_spec.questions.overlaps import Benchmark, find_overlaps
from prerl_spec.registry.kinds.data import DataSet
from prerl_spec.registry.kinds.evaluator import ShowsQuestions, TaskQuestions
from prerl_spec.types import Rendering, Row


def benchmarks_of(graph: Graph, opened: Mapping[str, DataSet | str]) -> Iterator[TaskQuestions]:
    """The benchmarks of every evaluator, each once: data sets that no phase trains on, and tasks.

    `opened` holds the data sets, or why one could not be opened.
    """
    trained = {name for phase in graph.phases for name in phase.data}
    named: dict[str, TaskQuestions] = {}
    for evaluator in graph.evaluators:
        scored = [name for name in evaluator.component.data_sets() if name not in trained]
        for name in scored:
            data = opened[name]
            if isinstance(data, str):
                named[f"data.{name}"] = TaskQuestions(f"data.{name}", unknown=data)
            else:
                texts = [pair for n in range(len(data)) for pair in texts_of(data.row(n), data.rendering)]
                named[f"data.{name}"] = TaskQuestions(f"data.{name}", tuple(texts))
        if isinstance(evaluator.component, ShowsQuestions):
            named.update((questions.task, questions) for questions in evaluator.component.questions())
        elif not evaluator.component.data_sets():
            why = f"`{evaluator.use}` does not show its questions"
            named[evaluator.use] = TaskQuestions(evaluator.use, unknown=why)
    yield from named.values()


def trained_benchmarks(graph: Graph) -> dict[str, Finding]:
    """A finding for each data set that is trained on and scored, by name."""
    trained = {name: phase.id for phase in reversed(graph.phases) for name in phase.data}
    return {
        name: Finding(
            Kind.OVERLAP, (f"data.{name}",), f"phase {trained[name]} trains on it, and `{evaluator.use}` scores it"
        )
        for evaluator in graph.evaluators
        for name in evaluator.component.data_sets()
        if name in trained
    }


@dataclass(frozen=True)
class Compared:
    """Benchmarks by their questions, each with its place."""

    places: tuple[str, ...]
    index: Benchmark

    @classmethod
    def of(cls, tasks: Sequence[TaskQuestions]) -> "Compared":
        texts = [(f"{task.task} {place}", text) for task in tasks for place, text in task.texts]
        return cls(tuple(place for place, _ in texts), Benchmark([text for _, text in texts]))

    def overlaps(self, rows: Sequence[Row], rendering: Rendering) -> list[Finding]:
        """A finding for each pair of a row and a question, those that share most first."""
        texts = [pair for row in rows for pair in texts_of(row, rendering)]
        found = find_overlaps((text for _, text in texts), self.index)
        found.sort(key=lambda o: (not o.is_same, -o.shared / max(o.passages, 1)))
        return [
            Finding(
                Kind.OVERLAP,
                (texts[o.training][0], self.places[o.benchmark]),
                "the same question" if o.is_same else f"{o.shared} of {o.passages} passages of 13 words",
            )
            for o in found
        ]


def report_of(task: TaskQuestions) -> BenchmarkReport:
    return BenchmarkReport(
        task.task, None if task.unknown is not None else len({p for p, _ in task.texts}), task.unknown
    )


def texts_of(row: Row, rendering: Rendering) -> Iterator[tuple[str, str]]:
    """What a row says, each with its place: its question, or what the template makes of its columns; its document."""
    if row.question is not None:
        yield row.where, row.question
    elif rendering.template is not None:
        yield row.where, question_text(row, rendering)
    if row.document is not None:
        yield row.where, row.document
