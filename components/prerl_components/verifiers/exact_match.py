"""String comparison of the answer with the gold answer."""

from typing import ClassVar, Literal

from pydantic import Field

from prerl_components.verifiers.boxed import boxed_answer
from prerl_spec.sdk import BinaryVerifier, Outcome, Verdict


class ExactMatch(BinaryVerifier):
    """Right if the answer equals the gold answer as a string, ignoring surrounding whitespace."""

    right_example: ClassVar[tuple[str, str]] = ("\\boxed{A}", "A")
    wrong_example: ClassVar[tuple[str, str]] = ("\\boxed{B}", "A")

    extract: Literal["last_boxed", "whole"] = Field(
        default="last_boxed", description="Part of the response that is its answer."
    )
    ignore_case: bool = Field(default=False, description="Whether to ignore upper and lower case.")

    def judge(self, response: str, gold: str) -> Verdict:
        answer = response.strip() if self.extract == "whole" else boxed_answer(response)
        if answer is None:
            return Verdict(Outcome.UNPARSABLE, 0.0, detail="no \\boxed{…}")
        if self._folded(answer) == self._folded(gold.strip()):
            return Verdict(Outcome.RIGHT, 1.0, answer=answer)
        return Verdict(Outcome.WRONG, 0.0, answer=answer)

    def response_with(self, answer: str) -> str:
        return answer if self.extract == "whole" else f"\\boxed{{{answer}}}"

    def check_gold(self, gold: str) -> str | None:
        return None if gold.strip() else "it is empty"

    def _folded(self, text: str) -> str:
        return text.casefold() if self.ignore_case else text
