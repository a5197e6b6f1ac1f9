"""Bounds of the gate on factorials, binomial coefficients, Γ and common divisors."""

import re
from collections.abc import Iterator

from prerl_components.verifiers.bounds.operands import closing_bracket, operand_after, operand_before

MAX_COMBINATORIAL_DIGITS = 5
MAX_FACTORIAL_DIGITS = 3
MAX_FACTORIALS = 20
MAX_DIGITS_UNDER_LETTERS = 2
MAX_BASE_DIGITS = 2
"""`(10111)_{2}` is a number in a base."""

_DIGIT = re.compile(r"\d")
_BINOMIAL = re.compile(r"\\[dt]?binom(?![a-zA-Z])|\\choose(?![a-zA-Z])")
_FALLING = re.compile(r"\(([^()]*)\)\s*_\s*(?:\{([^{}]*)\}|(\w))")
_GAMMA = re.compile(r"\\(?:Gamma|gamma)(?![a-zA-Z])")
_DIVISORS = re.compile(r"\\(?:gcd|lcm)(?![a-zA-Z])|\\operatorname\s*\{\s*(?:gcd|lcm)")


def combinatorics(text: str) -> str | None:
    """The bound on combinatorics that the text is over, None if it is within all."""
    operands = list(_binomial_operands(text))
    for upper, lower in zip(operands[::2], operands[1::2], strict=True):
        if _heavy(upper, MAX_COMBINATORIAL_DIGITS) or _heavy(lower, MAX_COMBINATORIAL_DIGITS):
            return "a binomial coefficient of more than 5 digits, or of powers, factorials or binomials"
        allowed = 1 if re.search(r"[ei.\\]", upper) else MAX_DIGITS_UNDER_LETTERS
        if not re.fullmatch(r"[\d\s+-]*", upper) and len(_DIGIT.findall(lower)) > allowed:
            return f"a binomial coefficient of no number over a number of more than {allowed} digits"
    for match in _FALLING.finditer(text):
        is_based = re.fullmatch(r"\s*\w+\s*", match[1]) and len(_DIGIT.findall(match[2] or match[3])) <= MAX_BASE_DIGITS
        if (
            not is_based
            and "," not in match[1]
            and any(_heavy(part or "", MAX_FACTORIAL_DIGITS) for part in match.groups())
        ):
            return "a falling factorial of a number of more than 3 digits"
    if text.count("!") > MAX_FACTORIALS:
        return f"more than {MAX_FACTORIALS} factorials"
    if _DIVISORS.search(text) and (
        re.search(r"\\(?!gcd|lcm|cdot|times|operatorname)[a-zA-Z]", text) or re.search(r"\bi\b|\di", text)
    ):
        return "a greatest common divisor of more than integers and polynomials"
    if any(_heavy(operand, MAX_FACTORIAL_DIGITS) for operand in _factorial_operands(text)):
        return "the factorial of a number of more than 3 digits, or of a power, a factorial or a binomial"
    return None


def _heavy(operand: str, digits: int) -> bool:
    """Whether an operand holds more digits than allowed, or anything that makes more of a few."""
    return len(_DIGIT.findall(operand)) > digits or bool(
        re.search(r"[!^]", operand) or _BINOMIAL.search(operand) or _GAMMA.search(operand)
    )


def _binomial_operands(text: str) -> Iterator[str]:
    for match in _BINOMIAL.finditer(text):
        if match[0] == "\\choose":
            yield text[max(text.rfind("{", 0, match.start()), 0) : match.start()]
            yield text[match.end() : match.end() + 1 + text[match.end() :].find("}")]
            continue
        upper, after = operand_after(text, match.end())
        yield upper
        yield operand_after(text, after)[0]


def _factorial_operands(text: str) -> Iterator[str]:
    """What stands before each `!`: a number, or brackets with the groups before them; and what Γ is applied to."""
    for match in re.finditer("!", text):
        yield operand_before(text, match.start())
    for match in _GAMMA.finditer(text):
        content, _ = operand_after(text, match.end())
        if content == "(":
            start = text.index("(", match.end())
            content = text[start : closing_bracket(text, start)]
        yield content
