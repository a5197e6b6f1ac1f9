"""Verdicts on evaluated responses, and the share of verifier faults above which there is no score."""

from collections.abc import Sequence
from dataclasses import replace

from prerl_spec.errors import RunFailed
from prerl_spec.evaluation.scores.answer_votes import Votes
from prerl_spec.evaluation.scores.question_results import QuestionResult
from prerl_spec.registry.kinds.evaluator import EvaluationSite
from prerl_spec.registry.kinds.judging import Verifier
from prerl_spec.types import Generation, Outcome, Verdict

MAX_FAULT_SHARE = 0.05
MIN_FAULTS = 3


def verdicts_on(site: EvaluationSite, verifier: Verifier, evidence: Sequence[tuple[str, str, bool]]) -> list[Verdict]:
    """The verdicts on (response, gold, truncated), in order; a timeout that the answer has caused scores 0, whatever it
    would train.

    Raises RunFailed if more than 5 % (and at least 3) are errors, or timeouts that the answers have not caused: these carry
    no information about the responses, so a score would be biased.
    """
    verdicts = [replace(v, score=0.0) if v.by_answer else v for v in site.verify(verifier, evidence)]
    faults = [verdict for verdict in verdicts if verdict.is_fault]
    if len(faults) >= MIN_FAULTS and len(faults) > MAX_FAULT_SHARE * len(verdicts):
        raise RunFailed(
            f"the verifier returned no verdict on {len(faults)} of {len(verdicts)} responses; first: {faults[0].detail}",
            hint="fix the verifier, or raise its deadline_seconds",
        )
    return verdicts


def count_right(verdicts: Sequence[Verdict]) -> int:
    """The number of right verdicts (score 1). Timeouts and errors do not count, so none ever raises a score."""
    return sum(verdict.score is not None and verdict.score >= 1.0 for verdict in verdicts)


def question_result(
    question: str, row: int, generations: Sequence[Generation], verdicts: Sequence[Verdict], votes: Votes | None = None
) -> QuestionResult:
    """What is kept of one question's responses, their verdicts, and which of them gave one answer."""
    return QuestionResult(
        question,
        row,
        right=count_right(verdicts),
        samples=len(verdicts),
        truncated=sum(generation.stop == "length" for generation in generations),
        unparsable=sum(verdict.outcome is Outcome.UNPARSABLE for verdict in verdicts),
        tokens=sum(len(generation.tokens) for generation in generations),
        votes=votes,
    )
