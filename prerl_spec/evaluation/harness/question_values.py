"""What each question of an lm-eval task has contributed, from the samples that lm-eval logs: one a question and filter."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import isfinite
from typing import Any

from prerl_spec.evaluation.scores.answer_votes import Votes
from prerl_spec.evaluation.scores.question_results import QuestionResult, question_ids
from prerl_spec.evaluation.scores.verdicts import question_result
from prerl_spec.types import Generation

Logged = Sequence[Mapping[str, Any]]


def verdict_results(logged: Logged, votes_Q: Sequence[Votes] | None = None) -> list[QuestionResult]:
    """Of a task whose filtered responses are verdicts; `votes_Q` are in the order in which lm-eval logs the questions."""
    of_row = {} if votes_Q is None else {s["doc_id"]: votes for s, votes in zip(logged, votes_Q, strict=True)}
    return [
        question_result(
            question,
            sample["doc_id"],
            _generations(sample),
            sample["filtered_resps"][0],
            of_row.get(sample["doc_id"]),
        )
        for question, sample in questions_of(logged)
    ]


def value_results(logged: Logged, value_Q: Mapping[str, Mapping[int, Any]]) -> list[QuestionResult]:
    """Of a task with metrics of its own: `value_Q` has for each score's name the values by the question's row, as far as
    they are numbers, or rows of numbers that an aggregate is made of."""
    return [
        replace(
            _sampled(question, sample["doc_id"], _generations(sample)),
            values={
                metric: value
                for metric, of_row in value_Q.items()
                if (value := plain(of_row.get(sample["doc_id"]))) is not None
            },
        )
        for question, sample in questions_of(logged)
    ]


def questions_of(logged: Logged) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each question once, in the order of the task's rows, with its id."""
    first = {sample["doc_id"]: sample for sample in reversed(logged)}
    samples = [first[row] for row in sorted(first)]
    asked = ((str(sample["arguments"][0][0]), str(sample["target"])) for sample in samples)
    yield from zip(question_ids(asked), samples, strict=True)


def _generations(sample: Mapping[str, Any]) -> list[Generation]:
    """Of the responses to a question; none where it was scored by log-probabilities."""
    responses = (response for of_request in sample["resps"] for response in of_request)
    found = (getattr(response, "generation", None) for response in responses)
    return [generation for generation in found if generation is not None]


def _sampled(question: str, row: int, generations: Sequence[Generation]) -> QuestionResult:
    if not generations:
        return QuestionResult(question, row)
    return QuestionResult(
        question,
        row,
        samples=len(generations),
        truncated=sum(generation.stop == "length" for generation in generations),
        tokens=sum(len(generation.tokens) for generation in generations),
    )


def plain(value: Any) -> float | list[float] | None:
    """A finite number, or a row of them, for JSON; None for anything else."""
    if isinstance(value, list | tuple):
        return list(map(float, value)) if all(map(_is_finite, value)) else None
    return float(value) if _is_finite(value) else None


def _is_finite(value: Any) -> bool:
    return is_number(value) and isfinite(value)


def is_number(value: Any) -> bool:
    """Whether it is a number of python, numpy or torch."""
    return isinstance(value, int | float) or (hasattr(value, "item") and getattr(value, "ndim", 1) == 0)
