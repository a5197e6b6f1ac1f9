"""The scores of one task with what each question has contributed, and the files that keep it beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from prerl_spec.evaluation.scores.question_results import FORMAT, MEAN, QuestionResult, write_questions
from prerl_spec.evaluation.scores.samples import FOLDER, write_samples
from prerl_spec.evaluation.scores.scores import Identity, right_scores
from prerl_spec.registry.kinds.evaluator import EvaluationSite
from prerl_spec.types import Draw, Score


@dataclass(frozen=True)
class Scored:
    """One task at one moment. `metrics` says how each score is made of its questions' values: as their "mean", or by an
    aggregate of lm-eval, which is named. `responses` are the lines of `samples`; none for scores from the cache."""

    scores: list[Score]
    metrics: Mapping[str, str]
    questions: Sequence[QuestionResult]
    responses: Sequence[Mapping[str, Any]] = ()
    unstated: tuple[str, ...] = ()
    """The metrics that have no score, each with the reason in words."""
    lower_is_better: tuple[str, ...] = ()
    """The metrics of which the task says so."""

    def header(self) -> dict[str, Any]:
        """The conditions that all its scores share, as the file's first line has them."""
        of_all = self.scores[0]
        return {
            "format": FORMAT,
            "phase": of_all.phase,
            "global_step": of_all.global_step,
            "task": of_all.task,
            "metrics": dict(self.metrics),
            **({"lower_is_better": list(self.lower_is_better)} if self.lower_is_better else {}),
            "samples": of_all.samples_per_question,
            "seed": of_all.seed,
            "decoding": dict(of_all.decoding),
            "harness": of_all.harness,
            "task_version": of_all.task_version,
            "task_hash": of_all.task_hash,
            "template_hash": of_all.template_hash,
        }


def judged(
    scores: list[Score],
    questions: Sequence[QuestionResult],
    responses: Sequence[Mapping[str, Any]] = (),
    lower_is_better: tuple[str, ...] = (),
) -> Scored:
    """Scores whose metrics are all means over questions."""
    made_by = {score.metric: MEAN for score in scores}
    return Scored(scores, made_by, questions, responses, lower_is_better=lower_is_better)


def counted_again(
    site: EvaluationSite, what: Identity, draw: Draw, kept: Scored, metrics: Sequence[str] | None = None
) -> Scored:
    """Scores of right and wrong from questions that were judged before, for the k that are wanted now."""
    return judged(right_scores(site, what, draw, kept.questions, metrics), kept.questions)


def of_protocol(kept: Scored, protocol: str) -> Scored:
    """The same scores: a protocol is a name for conditions that they have anyway."""
    return replace(kept, scores=[replace(score, protocol=protocol) for score in kept.scores])


def keep_questions(site: EvaluationSite, scored: Scored) -> list[Score]:
    """Writes what each question has contributed, and every response, and returns the scores. A collective call: the main
    rank writes."""
    if scored.scores:
        what = f"the questions of {scored.scores[0].task}"
        site.main_does(lambda: _write(site, scored), what)
    return scored.scores


def _write(site: EvaluationSite, scored: Scored) -> None:
    file = write_questions(site.folder, scored.header(), scored.questions)
    write_samples(site.folder / FOLDER / file.name, scored.responses)
