"""The verifier: right if the expression equals the target exactly and uses the numbers of the game."""

from collections import Counter
from typing import ClassVar, Literal

from prerl_spec.sdk import BinaryVerifier, Outcome, Verdict
from pydantic import Field

from prerl_countdown.expressions import Unreadable, work_out
from prerl_countdown.games import BadGold, read_gold

OPENING, CLOSING = "<answer>", "</answer>"


class Expression(BinaryVerifier):
    """Evaluates an arithmetic expression in exact fractions, never as code: 8/(3-8/3) is 24, not 23.999."""

    seconds_allowed: ClassVar[float] = 5.0
    right_example: ClassVar[tuple[str, str]] = ("<answer>(5-3)*8</answer>", "16 from 3 5 8")
    wrong_example: ClassVar[tuple[str, str]] = ("<answer>3+5+8+8</answer>", "16 from 3 5 8")

    extract: Literal["answer_tag", "whole"] = Field(
        default="answer_tag",
        description="answer_tag: the last <answer>…</answer>, else the whole response; whole: the whole response.",
    )
    numbers: Literal["all", "any"] = Field(
        default="all", description="all: use every number of the game exactly once; any: use each at most once."
    )

    def judge(self, response: str, gold: str) -> Verdict:
        """Unparsable if there is no expression; wrong for wrong numbers, another value or a division by zero."""
        target, dealt = read_gold(gold)
        answer = self._answer(response)
        try:
            worked = work_out(answer)
        except Unreadable as reason:
            return Verdict(Outcome.UNPARSABLE, 0.0, detail=str(reason))
        used, given = Counter(worked.numbers), Counter(dealt)
        fits = used == given if self.numbers == "all" else used <= given
        if not fits:
            return Verdict(
                Outcome.WRONG, 0.0, answer=answer, detail=f"uses {sorted(worked.numbers)} of {sorted(dealt)}"
            )
        if worked.value is None:
            return Verdict(Outcome.WRONG, 0.0, answer=answer, detail="divides by zero")
        if worked.value != target:
            return Verdict(Outcome.WRONG, 0.0, answer=answer, detail=f"is {worked.value}, not {target}")
        return Verdict(Outcome.RIGHT, 1.0, answer=answer)

    def check_gold(self, gold: str) -> str | None:
        try:
            read_gold(gold)
        except BadGold as reason:
            return str(reason)
        return None

    def _answer(self, response: str) -> str:
        end = response.rfind(CLOSING) if self.extract == "answer_tag" else -1
        start = response.rfind(OPENING, 0, max(end, 0))
        return (response[start + len(OPENING) : end] if start >= 0 else response).strip()
