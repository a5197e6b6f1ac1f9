"""Limits on an answer before any parser sees it: deterministic, the same on every machine.

Forty characters can keep a parser or a simplifier busy for hours. With these limits a timeout is rare, so that it can
count as a fault of the verifier; an answer over a limit is unparsable, which is a finding about the answer. Here are the
limits of size; those of each kind of construct stand in constructs.py.
"""

import math
import re
from collections.abc import Iterator

from prerl_components.verifiers.bounds.constructs import over_bound
from prerl_components.verifiers.boxed import braced

MAX_CHARACTERS = 400
"""The longest gold answer of the MATH training set has 139."""
MAX_NESTING = 10
MAX_DIGITS = 60
"""Digits of one number."""
MAX_POWERS = 12
MAX_EXPONENT_DIGITS = 4
MAX_TOWER = 3
"""Depth of nested exponents."""
MAX_BOXES = 64
"""Boxes in one response: a response with more is stuck in a loop."""

_LONG_NUMBER = re.compile(rf"\d{{{MAX_DIGITS + 1}}}")
_NUMBER = re.compile(r"\d+")
_POWER = re.compile(r"(\d+)\s*[)}]*\s*\^\s*[{(]*\s*(\d+)")
_BARE_OPERAND = re.compile(r"[-+]?[^-+*/=,;)}\]\s]*")


def refusal(answer: str) -> str | None:
    """The reason why the answer is rejected, None if it is within all limits."""
    if not answer.strip():
        return "the answer is empty"
    if len(answer) > MAX_CHARACTERS:
        return f"the answer has {len(answer)} characters, more than {MAX_CHARACTERS}"
    if nesting(answer) > MAX_NESTING:
        return f"brackets nested deeper than {MAX_NESTING}"
    if _LONG_NUMBER.search(answer):
        return f"a number of more than {MAX_DIGITS} digits"
    if answer.count("^") > MAX_POWERS:
        return f"more than {MAX_POWERS} exponents"
    if tower(answer) > MAX_TOWER:
        return f"exponents nested deeper than {MAX_TOWER}"
    if any(_is_huge(exponent) for exponent in exponents(answer)):
        return f"an exponent of more than {MAX_EXPONENT_DIGITS} digits"
    return over_bound(answer)


def exponents(text: str) -> Iterator[str]:
    """The operand of each `^`: the content of its braces, or the text up to the next character that ends a number."""
    for caret in re.finditer(r"\^\s*", text):
        content = braced(text, caret.end())
        if content is None:
            bare = _BARE_OPERAND.match(text, caret.end())
            content = bare[0] if bare else ""
        yield content


def tower(text: str) -> int:
    """The depth of nested exponents: 1 in `x^2`, 2 in `e^{x^2}`."""
    return max((1 + tower(exponent) for exponent in exponents(text)), default=0)


def _is_huge(exponent: str) -> bool:
    """Whether an exponent contains a number, or a power of two numbers, with too many digits."""
    if any(len(number) > MAX_EXPONENT_DIGITS for number in _NUMBER.findall(exponent)):
        return True
    powers = ((int(base), int(power)) for base, power in _POWER.findall(exponent))
    return any(base > 1 and power * math.log10(base) >= MAX_EXPONENT_DIGITS for base, power in powers)


def nesting(text: str) -> int:
    """The maximum nesting depth of brackets; unmatched closing brackets are ignored."""
    depth = deepest = 0
    for character in text:
        if character in "{([":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "})]":
            depth = max(depth - 1, 0)
    return deepest


def too_many_boxes(response: str) -> str | None:
    """The reason why the response is rejected, None if it is within the limit."""
    boxes = response.count("\\boxed")
    return f"{boxes} boxes, more than {MAX_BOXES}" if boxes > MAX_BOXES else None
