"""When evaluators score, and where their scores go: scores.json, events, trackers."""

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any, Literal

from prerl_spec.compiler.graph import Named, Phase, evaluation_sampler, evaluation_verifier
from prerl_spec.engine.batches.source import decoding_of
from prerl_spec.engine.record.events import EventLog
from prerl_spec.engine.record.tracking import Trackers
from prerl_spec.engine.run.evaluation_site import EvaluationPoint, EvaluationSetup, build_site
from prerl_spec.engine.run.kept_rounds import forget_rounds
from prerl_spec.engine.run.position import Position
from prerl_spec.engine.run.session import Session
from prerl_spec.engine.run.shared_calls import SharedCalls, sampling_conditions
from prerl_spec.registry.kinds.evaluator import EvaluationSite, Evaluator
from prerl_spec.storage.disk import write_whole
from prerl_spec.storage.run_events import scores_of
from prerl_spec.storage.sealed import array_text
from prerl_spec.types import Rendering, Score

Moment = Literal["base", "phases", "end"]


class Evaluations:
    """The spec's evaluators over a run. Scores that an earlier process has logged are not computed again."""

    def __init__(self, session: Session, events: EventLog, trackers: Trackers) -> None:
        self._session = session
        self._events = events
        self._trackers = trackers
        self._setup = _setup(session)
        self._measured: dict[int, dict[str, float]] = {}
        for event in self._past():
            self._remember(event["global_step"], event["scores"])

    def measured(self, position: Position) -> Mapping[str, float]:
        """Values by "task/metric" that were scored at exactly this position. Not the latest ones: a schedule would
        mistake an old value for a new one without improvement, and after a kill the log holds scores of steps still to
        be repeated. Where a run begins, those of the run that it continues count as well."""
        start, own = self._events.start, self._measured.get(position.global_step, {})
        begins = start is not None and position.global_step == start["global_step"]
        return {**start.get("scores", {}), **own} if start is not None and begins else own

    def score_at(self, moment: Moment, position: Position) -> None:
        """Scores with every evaluator whose `at` lists this moment; a run without phases has the moment `base` only."""
        graph = self._session.graph
        begins = position.global_step == self._events.began
        phase = "base" if begins else graph.phases[min(position.phase, len(graph.phases) - 1)].id
        for index, named in enumerate(graph.evaluators):
            if moment in named.component.at or (moment == "base" and not graph.phases):
                self._score(index, named, phase, position)

    def score_if_due(self, phase: Phase, position: Position) -> None:
        """Scores with every evaluator whose `every` divides this step."""
        for index, named in enumerate(self._session.graph.evaluators):
            every = named.component.every
            if every != "off" and position.step > 0 and position.step % every == 0:
                self._score(index, named, phase.id, position)

    def _score(self, index: int, named: Named[Evaluator], phase: str, position: Position) -> None:
        logged = {(e["evaluator"], e["phase"], e["global_step"]) for e in self._past()}
        if (index, phase, position.global_step) in logged:
            return
        begin = perf_counter()
        scores: list[Score] = named.component.score(self.site(phase, position))
        entries = [s.as_row() for s in scores]
        self._remember(position.global_step, entries)
        self._events.write(
            "evaluate",
            phase=phase,
            global_step=position.global_step,
            evaluator=index,
            use=named.use,
            seconds=round(perf_counter() - begin, 3),
            scores=entries,
        )
        self._trackers.log_scores(scores)
        self._session.ranks.main_does(self._finish, "scores.json")
        self._session.stages.stop_if_signalled()

    def site(self, phase: str, position: Position, *, keep: bool = True) -> EvaluationSite:
        """The evaluation site at a position, after the phase with that id (or "base"). With `keep`, an interrupted
        evaluation continues where it stopped."""
        session = self._session
        graph = session.graph
        sampler = evaluation_sampler(graph, phase)
        verifier = evaluation_verifier(graph, phase)
        opened = session.samplers.sampler(sampler)
        return build_site(
            SharedCalls(
                session.policy,
                opened,
                session.ranks,
                session.verifiers.judge,
                session.stages.tick,
                check_golds=session.verifiers.check_golds,
                alone=session.stages.alone,
                conditions=sampling_conditions(sampler, session.ranks) if keep else None,
                declared=sampler,
            ),
            self._setup,
            EvaluationPoint(
                phase, position, decoding_of(sampler.component), None if verifier is None else verifier.component
            ),
        )

    def _past(self) -> list[dict[str, Any]]:
        return [e for e in self._events.past if e["event"] == "evaluate"]

    def _remember(self, global_step: int, scores: Sequence[Mapping[str, Any]]) -> None:
        values = {f"{s['task']}/{s['metric']}": float(s["value"]) for s in scores}
        self._measured.setdefault(global_step, {}).update(values)

    def write_scores(self) -> None:
        """Writes all scores so far to scores.json; a collective call. At a resume as well: a run may have been killed
        between the event of an evaluation and this."""
        self._session.ranks.main_does(self._write_scores, "scores.json")

    def _finish(self) -> None:
        self._write_scores()
        forget_rounds(self._setup.folder)

    def _write_scores(self) -> None:
        write_whole(self._session.folder / "scores.json", array_text(scores_of(self._events.past)))


def _setup(session: Session) -> EvaluationSetup:
    """Questions are rendered like those of the first phase's data set."""
    graph = session.graph
    first = graph.phases[0].data if graph.phases else {}
    return EvaluationSetup(
        folder=session.folder / "evaluation",
        seed=graph.run.seed,
        rendering=next((session.datasets[name].data.rendering for name in first), Rendering()),
        data={name: dataset.data for name, dataset in session.datasets.items()},
        data_verifier={name: named.component.verifier for name, named in graph.data.items()},
    )
