"""Checks every data set in use: rows, gold answers, repeats, lengths, overlaps with benchmarks. Loads no model weights."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

from prerl_spec.compiler.estimates.local_files import model_codec
from prerl_spec.compiler.estimates.unknown import NotKnown
from prerl_spec.compiler.graph import Graph
from prerl_spec.compiler.plan import Plan
from prerl_spec.compiler.rules.row_verifier import data_in_use, row_verifier
from prerl_spec.engine.batches.repetitions import asked
from prerl_spec.engine.data_check.contamination import Compared, benchmarks_of, report_of, trained_benchmarks
from prerl_spec.engine.data_check.golds import failing_golds, two_golds
from prerl_spec.engine.data_check.prompts import empty_questions, longest_prompt, repeats, too_long
from prerl_spec.engine.data_check.report import CheckReport, DataReport, Finding, Kind
from prerl_spec.engine.verification.verifier_pool import GoldCheck, Judge
from prerl_spec.errors import EnvironmentUnmet
from prerl_spec.language.document import join_path
from prerl_spec.questions.repeats import repeated
from prerl_spec.registry.kinds.data import DataSet, ReadFromSource
from prerl_spec.registry.kinds.judging import WritesAnswers
from prerl_spec.text import Codec
from prerl_spec.types import Row

Tick = Callable[[str, int, int], None]


class DataCheck:
    """The check of one graph, whose data sets are set to drop unreadable rows.

    `drops` names the data sets that drop them in a run as well; `only` the data sets to check, all in use if empty.
    `judge` and `check_golds` ask the verifiers; `tick(stage, done, total)` reports progress.
    """

    def __init__(
        self,
        graph: Graph,
        judge: Judge,
        check_golds: GoldCheck,
        tick: Tick,
        *,
        drops: Collection[str],
        only: Collection[str],
    ) -> None:
        self._graph = graph
        self._judge = judge
        self._check_golds = check_golds
        self._tick = tick
        self._drops = drops
        self._names = [name for name in data_in_use(graph) if not only or name in only]
        self._opened = {name: _open(graph, name) for name in data_in_use(graph)}
        self._codec = _codec(graph)

    def report(self) -> CheckReport:
        """Raises EnvironmentUnmet for a local data set without any readable row, and for a verifier that cannot start."""
        tasks = list(benchmarks_of(self._graph, self._opened))
        compared = Compared.of(tasks)
        return CheckReport(
            data=tuple(self._of_data(name, compared) for name in self._names),
            benchmarks=tuple(map(report_of, tasks)),
        )

    def _of_data(self, name: str, compared: Compared) -> DataReport:
        data = self._opened[name]
        if isinstance(data, str):
            return DataReport(name, None, unknown={"rows": data})
        rows = [data.row(number) for number in range(len(data))]
        self._tick(f"read:{name}", len(rows), len(rows))
        phases = [phase for phase in self._graph.phases if name in phase.data]
        is_supervised = any(phase.sampler is None for phase in phases)
        has_prompts = not is_supervised or any(phase.sampler is not None for phase in phases)
        verifier = row_verifier(self._graph, name) if has_prompts else None
        unknown: dict[str, str] = {}
        findings = [*self._unreadable(name, data), *empty_questions(rows)]
        num_golds = 0
        if verifier is not None:
            failing, num_golds = failing_golds(
                verifier, rows, self._judge, self._check_golds, drops_refused=name in self._drops
            )
            findings += failing
            if not isinstance(verifier, WritesAnswers):
                unknown["gold against gold"] = "the verifier does not say how an answer is written (`response_with`)"
        elif has_prompts:
            unknown["golds"] = "no verifier scores this data set"
        if has_prompts:
            findings += self._too_long(name, data, rows, unknown)
        groups = repeated(asked(data, range(len(rows))) if has_prompts else (row.document for row in rows))
        if has_prompts:
            findings += two_golds(verifier, rows, groups, self._judge)
        findings += repeats(rows, groups)
        if phases:
            scored = trained_benchmarks(self._graph)
            findings += [*([scored[name]] if name in scored else []), *compared.overlaps(rows, data.rendering)]
        return DataReport(name, len(rows), num_golds, tuple(findings), unknown)

    def _unreadable(self, name: str, data: DataSet) -> Sequence[Finding]:
        stops = name not in self._drops
        if not isinstance(data, ReadFromSource):
            return [Finding(Kind.UNREADABLE, (), f"{data.dropped} rows", stops_run=stops)] if data.dropped else []
        lines = (line.partition(": ") for line in data.unreadable)
        return [Finding(Kind.UNREADABLE, (place,), why, stops_run=stops) for place, _, why in lines]

    def _too_long(self, name: str, data: DataSet, rows: Sequence[Row], unknown: dict[str, str]) -> Sequence[Finding]:
        samplers = [p.sampler.component for p in self._graph.phases if name in p.data and p.sampler is not None]
        response = max((sampler.max_new_tokens for sampler in samplers), default=1)
        try:
            if isinstance(self._codec, str):
                raise NotKnown(self._codec)
            settings = dict(self._graph.model.component.settings())
            limit = longest_prompt(settings, self._codec, response, data)
        except NotKnown as why:
            unknown["prompt lengths"] = str(why)
            return []
        return too_long(name, data, rows, self._codec, limit, partial(self._tick, f"lengths:{name}"))


def _open(graph: Graph, name: str) -> DataSet | str:
    """The data set, or why its rows on the hub are unknown here. Raises EnvironmentUnmet for local rows."""
    component = graph.data[name].component
    try:
        return component.open(name)
    except EnvironmentUnmet as error:
        needed = Plan.from_json(graph.plan).prerequisites
        if any(one.what == "dataset" and join_path("data", name) in one.by for one in needed):
            return error.message.splitlines()[0]
        raise


def _codec(graph: Graph) -> Codec | str:
    files: Mapping[str, Mapping[str, str] | None] = {n: d.component.tokenizer_files() for n, d in graph.data.items()}
    try:
        return model_codec(graph.model.component.settings(), files)
    except NotKnown as why:
        return str(why)
