"""The scores of one task with what each question has contributed, and the file that keeps it beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prerl_spec.evaluation.scores.question_results import FORMAT, MEAN, QuestionResult, write_questions
from prerl_spec.registry.kinds.evaluator import EvaluationSite
from prerl_spec.types import Score


@dataclass(frozen=True)
class Scored:
    """One task at one moment. `metrics` says how each score is made of its questions' values: as their "mean", or by an
    aggregate of lm-eval, which is named."""

    scores: list[Score]
    metrics: Mapping[str, str]
    questions: Sequence[QuestionResult]

    def header(self) -> dict[str, Any]:
        """The conditions that all its scores share, as the file's first line has them."""
        of_all = self.scores[0]
        return {
            "format": FORMAT,
            "phase": of_all.phase,
            "global_step": of_all.global_step,
            "task": of_all.task,
            "metrics": dict(self.metrics),
            "samples": of_all.samples_per_question,
            "seed": of_all.seed,
            "decoding": dict(of_all.decoding),
            "harness": of_all.harness,
            "task_version": of_all.task_version,
            "task_hash": of_all.task_hash,
            "template_hash": of_all.template_hash,
        }


def judged(scores: list[Score], questions: Sequence[QuestionResult]) -> Scored:
    """Scores whose metrics are all means over questions."""
    return Scored(scores, {score.metric: MEAN for score in scores}, questions)


def keep_questions(site: EvaluationSite, scored: Scored) -> list[Score]:
    """Writes what each question has contributed, and returns the scores. A collective call: the main rank writes."""
    if scored.scores:
        what = f"the questions of {scored.scores[0].task}"
        site.main_does(lambda: write_questions(site.folder, scored.header(), scored.questions), what)
    return scored.scores
