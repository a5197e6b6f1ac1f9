"""Compares an answer with the gold answer: as text, as integers, then by pieces whose parts Math-Verify reads.

The text is put into LaTeX that its parser reads (`answer_text`, `numerals`), then taken apart at commas, brackets and signs
of equality (`pieces`), units and bases are set aside (`units`, `bases`), and the rest is compared (`expressions`). Only the
box counts, and it must equal the gold answer: `7=5` is not 5, 2·10⁻⁷ is not 10⁻⁷. What cannot be decided is unparsable.
Math-Verify's own timeouts are disabled: they use the process's only alarm, have a resolution of one second and turn a slow
right answer into a wrong one. The engine's worker processes have deadlines instead.
"""

import logging
import re

from math_verify import parse, verify

from prerl_components.verifiers.boxed import boxed_answer, without_thinking
from prerl_components.verifiers.compared.agreement import agree
from prerl_components.verifiers.compared.parsing import quietly
from prerl_components.verifiers.compared.reading import Grouped, Piece, is_readable, read
from prerl_components.verifiers.compared.scalars import Percent
from prerl_components.verifiers.gate import refusal, too_many_boxes
from prerl_spec.sdk import Outcome, Verdict

# Math-Verify warns once that its timeouts are disabled.
logging.getLogger("math_verify").setLevel(logging.ERROR)

LENIENT_TAIL = 4000
"""Number of characters at the end of a response that the lenient mode reads."""

_INTEGER = re.compile(r"[-+]?(?:\d+|\d{1,3}(?:(?:,|\{,\}|,\\!)\d{3})+)")
_CHOICE = re.compile(
    r"(?:\\(?:text|textbf|mathbf|mathrm|textrm)\{\s*(?:\((?P<letter>[A-J])\)\s*:?|(?P<marked>[A-J])\s*[.):])\s*\}"
    r"|\((?P<bare>[A-J])\)(?=\\[ ,;:]|\\q?quad|~|\s)(?!\s*(?:[-+*/=^_<>]|\\[a-z])))"
    r"\s*(?:\\[ ,;:]|\\q?quad|~|\s)*(?P<value>\S.*)",
    re.DOTALL,
)
_CLOSING_MARKS = r"[\s.$*)\]}]*$"


def judge(response: str, gold: str, *, lenient: bool, percent: Percent = "number") -> Verdict:
    """The verdict on a finished response. Raises only MemoryError: then there is no verdict."""
    if (reason := too_many_boxes(response)) is not None:
        return Verdict(Outcome.UNPARSABLE, 0.0, detail=reason)
    if lenient:
        return _judge_lenient(without_thinking(response), gold)
    answer = boxed_answer(response)
    if answer is None:
        return Verdict(Outcome.UNPARSABLE, 0.0, detail="no \\boxed{…}, or the last one is not closed")
    if (reason := refusal(answer)) is not None:
        return Verdict(Outcome.UNPARSABLE, 0.0, detail=reason)
    found = equal(answer, gold, percent)
    if found is None:
        return Verdict(Outcome.UNPARSABLE, 0.0, answer=answer, detail="the box does not parse, or it cannot be decided")
    return Verdict(Outcome.RIGHT, 1.0, answer=answer) if found else Verdict(Outcome.WRONG, 0.0, answer=answer)


def equal(answer: str, gold: str, percent: Percent = "number") -> bool | None:
    """Whether the content of a box equals the gold answer; None if it does not parse or cannot be decided."""
    answer, gold = answer.strip(), gold.strip()
    if answer == gold:
        return True
    if (number := whole_number(answer)) is not None and (wanted := whole_number(gold)) is not None:
        return number == wanted
    found, target = quietly(read, _chosen(answer, gold)), quietly(read, gold)
    if found is None or target is None:
        return None
    found, target = _alone(found, target), _alone(target, found)
    same = quietly(agree, found, target, percent)
    if same is False and not quietly(is_readable, found):
        return None
    return None if same is None else bool(same)


def whole_number(text: str) -> int | None:
    """The integer denoted by the text, thousands separators allowed; None for anything else."""
    return int(re.sub(r"[^-+\d]", "", text)) if _INTEGER.fullmatch(text) else None


def check_gold(gold: str) -> str | None:
    """The reason why this gold answer cannot be verified against, None if it can."""
    if (reason := refusal(gold)) is not None:
        return reason
    if whole_number(gold.strip()) is not None:
        return None
    found = quietly(read, gold.strip())
    return None if found is not None and quietly(is_readable, found) else "it does not parse as LaTeX mathematics"


def _alone(piece: Piece, other: Piece) -> Piece:
    """The one element of a set, where the other side is no set: `\\{27\\}` answers 27."""
    if isinstance(piece, Grouped) and piece.is_set and len(piece.elements) == 1 and not isinstance(other, Grouped):
        return piece.elements[0]
    return piece


def _chosen(answer: str, gold: str) -> str:
    """Of an answer with its choice, `\\textbf{(B)}\\ 27`, the part that the gold answer names: the letter or the value."""
    found = _CHOICE.fullmatch(answer)
    if found is None:
        return answer
    letter = found["letter"] or found["marked"] or found["bare"]
    return letter if re.fullmatch(r"[\\{}()A-Za-z]*[({]?[A-J][)}]*", gold) else found["value"]


def _judge_lenient(response: str, gold: str) -> Verdict:
    wanted = gold.strip()
    if wanted and re.search(rf"(?<![\w.,:/^-]){re.escape(wanted)}{_CLOSING_MARKS}", response):
        return Verdict(Outcome.RIGHT, 1.0, answer=wanted)
    answers = quietly(parse, response[-LENIENT_TAIL:], parsing_timeout=None, raise_on_error=True)
    if not answers:
        return Verdict(Outcome.UNPARSABLE, 0.0, detail="nothing in the response parses")
    golds = quietly(parse, f"${gold}$", parsing_timeout=None, raise_on_error=True)
    right = quietly(verify, golds or [gold], answers, timeout_seconds=None, raise_on_error=True)
    last = str(answers[-1])
    return Verdict(Outcome.RIGHT, 1.0, answer=last) if right else Verdict(Outcome.WRONG, 0.0, answer=last)
