"""Compares an answer with the gold answer: as text, as integers, then with Math-Verify, strictly or leniently.

Strict means that only the box counts and that it must equal the gold answer: `7=5` is not 5, 50 % is not 50, 2·10⁻⁷ is
not 10⁻⁷. Math-Verify's own timeouts are disabled: they use the process's only alarm, have a resolution of one second and
turn a slow right answer into a wrong one. The engine's worker processes have deadlines instead.
"""

import logging
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from latex2sympy2_extended.logic import And
from math_verify import LatexExtractionConfig, parse, verify
from sympy import Basic, Eq

from prerl_components.verifiers.boxed import boxed_answer, without_thinking
from prerl_components.verifiers.gate import refusal, too_many_boxes
from prerl_spec.sdk import Outcome, Verdict

# Math-Verify warns once that its timeouts are disabled.
logging.getLogger("math_verify").setLevel(logging.ERROR)

BOX_ONLY = (LatexExtractionConfig(boxed_match_priority=0, try_extract_without_anchor=False),)

LENIENT_TAIL = 4000
"""Number of characters at the end of a response that the lenient mode reads."""

RELATIVE_TOLERANCE = 1e-5
"""Math-Verify rounds to six decimals, which makes all small numbers equal."""

_INTEGER = re.compile(r"[-+]?(?:\d+|\d{1,3}(?:(?:,|\{,\}|,\\!)\d{3})+)")
_PERCENT = re.compile(r"\s*\\?%\s*$")
_LONE_BACKSLASH = re.compile(r"(?<!\\)\\(?=[-\d])")


class Parsed(NamedTuple):
    """A sympy expression and whether a percent sign followed it."""

    expression: Any
    is_percent: bool


def judge(response: str, gold: str, *, lenient: bool) -> Verdict:
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
    found = equal(answer, gold)
    if found is None:
        return Verdict(Outcome.UNPARSABLE, 0.0, answer=answer, detail="the box does not parse")
    return Verdict(Outcome.RIGHT, 1.0, answer=answer) if found else Verdict(Outcome.WRONG, 0.0, answer=answer)


def equal(answer: str, gold: str) -> bool | None:
    """Whether the content of a box equals the gold answer; None if it does not parse."""
    answer, gold = answer.strip(), gold.strip()
    if answer == gold:
        return True
    if (number := whole_number(answer)) is not None and (wanted := whole_number(gold)) is not None:
        return number == wanted
    found, target = parsed(answer), parsed(gold)
    if found is None:
        return None
    if target is None or found.is_percent != target.is_percent:
        return False
    return all(_same(target.expression, side) for side in _claims(found.expression, target.expression))


def whole_number(text: str) -> int | None:
    """The integer denoted by the text, thousands separators allowed; None for anything else."""
    return int(re.sub(r"[^-+\d]", "", text)) if _INTEGER.fullmatch(text) else None


@lru_cache(maxsize=4096)
def parsed(text: str) -> Parsed | None:
    """The parsed content of a box; None if it does not parse."""
    bare = _PERCENT.sub("", text)
    if "\\begin" in bare:
        # Rows of a matrix end in two backslashes; the MATH data set lost one of each. \1 and \- have no other meaning.
        bare = _LONE_BACKSLASH.sub(r"\\\\", bare)
    found = _quietly(
        parse,
        f"\\boxed{{{bare}}}",
        extraction_config=BOX_ONLY,
        fallback_mode="no_fallback",
        parsing_timeout=None,
        raise_on_error=True,
    )
    return Parsed(found[0], bare != text and bool(_PERCENT.search(text))) if found else None


def check_gold(gold: str) -> str | None:
    """The reason why this gold answer cannot be verified against, None if it can."""
    if (reason := refusal(gold)) is not None:
        return reason
    if whole_number(gold.strip()) is not None or parsed(gold.strip()) is not None:
        return None
    return "it does not parse as LaTeX mathematics"


def _claims(found: Any, gold: Any) -> Iterator[Any]:
    """All that must equal the gold answer: the answer and, for an equation (`x=5`, `2+3=5`), each numeric side."""
    yield found
    if not isinstance(found, Basic) or isinstance(gold, (Eq, And)):
        return
    equations = found.args if isinstance(found, And) else (found,)
    for equation in equations:
        if isinstance(equation, Eq):
            yield from (side for side in (equation.lhs, equation.rhs) if side.is_number)


def _same(gold: Any, answer: Any) -> bool:
    """Math-Verify's comparison (not symmetric: gold comes first); small numbers must also be relatively close."""
    same = _quietly(verify, gold, answer, timeout_seconds=None, raise_on_error=True)
    return bool(same) and not _far_apart(gold, answer)


def _far_apart(gold: Any, answer: Any) -> bool:
    if not (getattr(gold, "is_number", False) and getattr(answer, "is_number", False)):
        return False
    try:
        one, other = complex(gold), complex(answer)
    except (TypeError, ValueError, OverflowError):
        return False
    return abs(one - other) > RELATIVE_TOLERANCE * abs(one)


def _judge_lenient(response: str, gold: str) -> Verdict:
    answers = _quietly(parse, response[-LENIENT_TAIL:], parsing_timeout=None, raise_on_error=True)
    if not answers:
        return Verdict(Outcome.UNPARSABLE, 0.0, detail="nothing in the response parses")
    golds = _quietly(parse, f"${gold}$", parsing_timeout=None, raise_on_error=True)
    right = _quietly(verify, golds or [gold], answers, timeout_seconds=None, raise_on_error=True)
    last = str(answers[-1])
    return Verdict(Outcome.RIGHT, 1.0, answer=last) if right else Verdict(Outcome.WRONG, 0.0, answer=last)


def _quietly(function: Any, *arguments: Any, **named: Any) -> Any:
    """The result, or None if sympy raises on such an expression: a deterministic finding about the answer. A
    MemoryError is not one, and is raised."""
    try:
        return function(*arguments, **named)
    except MemoryError:
        raise
    except Exception:
        return None
