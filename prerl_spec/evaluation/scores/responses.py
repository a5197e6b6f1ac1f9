"""What became of the responses behind a score: how many were cut off or had no answer, and how long they are."""

from collections.abc import Sequence
from dataclasses import dataclass

from prerl_spec.evaluation.scores.question_results import QuestionResult


@dataclass(frozen=True)
class Responses:
    """`Responses(truncated=0.02, unparsable=0.1, mean_length=812.5, tokens=390_000)`: shares of all responses, tokens.

    All None where nothing was sampled; `unparsable` None where no verifier reads answers.
    """

    truncated: float | None = None
    unparsable: float | None = None
    mean_length: float | None = None
    tokens: int | None = None

    @classmethod
    def of(cls, results: Sequence[QuestionResult]) -> "Responses":
        num_responses = sum(result.samples or 0 for result in results)
        if not num_responses:
            return cls()
        tokens = sum(result.tokens or 0 for result in results)
        is_read = all(result.unparsable is not None for result in results)
        return cls(
            truncated=sum(result.truncated or 0 for result in results) / num_responses,
            unparsable=sum(result.unparsable or 0 for result in results) / num_responses if is_read else None,
            mean_length=tokens / num_responses,
            tokens=tokens,
        )
