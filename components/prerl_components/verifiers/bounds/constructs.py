"""Bounds by kind of construct: what LaTeX can ask for in forty characters and no parser or simplifier can finish.

A bound is on the text: the same finding on every machine, before any parser. Every gold answer of the public sets is
within all of them. The table of all bounds stands in docs/verdicts.md. Behind them stand these measurements: Math-Verify
evaluates binomials, Γ and determinants while it parses (`\\binom{999999999}{500000000}`, a symbolic determinant of 4 rows);
its parser's time doubles with each bracket in another, each function of a product, each division or subscript in a row and
each union; it evaluates integrals, sums, products and limits before it compares; integer parts need all digits.
"""

import math
import re
from collections.abc import Callable

from prerl_components.verifiers.bounds.combinatorics import combinatorics
from prerl_components.verifiers.bounds.matrices import matrices
from prerl_components.verifiers.bounds.operands import closing_bracket, operand_after, operand_before

MAX_MONOMIALS = 60
MAX_FUNCTIONS = 5
MAX_GROWTH = 3
MAX_BRACKETS = 6
MAX_BARS = 12
MAX_UNIONS = 5
MAX_SYMBOLIC_UNIONS = 3
MAX_DIVISIONS = 8
MAX_SUBSCRIPTS = 8
MAX_SUBSCRIPTS_IN_ALL = 20
MAX_LETTERS = 100
MAX_ENTRIES = 60
MAX_SUM_DIGITS = 2

_INVISIBLE = re.compile(r"\\(?:left|right|[bB]igg?[lr]?|displaystyle|limits|[!,;:>])(?![a-zA-Z])|\{,\}|~|\\ ")
_TEXT = re.compile(r"\\(?:text|mbox|textbf|textit|textrm)\s*\{[^{}]*\}")
_LETTER = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]")
_FUNCTION = re.compile(
    r"\\?(?:arc|ar|a)?(?:sin|cos|tan|cot|sec|csc)h?(?![a-z])|\\(?:log|ln|exp|max|min|gcd|lcm|det|Gamma|gamma)(?![a-zA-Z])"
    r"|\\operatorname\b"
)
_GROWTH = re.compile(r"\^|\\(?:exp|sinh|cosh)(?![a-zA-Z])")
_DERIVATIVE = re.compile(r"\\frac\s*\{\s*(?:d|\\partial|\\mathrm\{d\})[^{}]*\}\s*\{\s*(?:d|\\partial|\\mathrm\{d\})")
_AT = re.compile(r"\|\s*_|\|\s*\^\s*\{[^{}]*=")
_ROUNDED = re.compile(
    r"\\(?:lfloor|lceil|floor|ceil|llcorner|ulcorner)(?![a-zA-Z])|\\operatorname\s*\{\s*(?:floor|ceil)"
)
_SET_OPERATION = re.compile(r"\\(?:cup|cap|setminus|backslash|bigcup|bigcap)(?![a-zA-Z])")
_SUBSCRIPTS = re.compile(rf"(?:_\s*\{{?\s*\w\s*\}}?\s*){{{MAX_SUBSCRIPTS + 1}}}")
_REPEATED = re.compile(r"\\(i{1,3}nt|oint|lim|sum|prod)(?![a-zA-Z])")
_NOT_RATIONAL = re.compile(
    r"\\(?:sqrt|[dt]?binom|choose|lfloor|lceil)(?![a-zA-Z])|!|\^\s*(?:[a-zA-Z\\]|\{[^{}]*[a-zA-Z\\])"
)
_FRACTION = re.compile(r"\\[dtc]?frac(?![a-zA-Z])")
_NOT_POLYNOMIAL = re.compile(r"/|\\div|\^\s*\{?\s*-")
_HIGH_INEQUALITY = re.compile(
    r"[a-zA-Z)}\]]\s*\^\s*\{?\s*\d\d.*(?:[<>]|\\[lg]e)|(?:[<>]|\\[lg]e).*[a-zA-Z)}\]]\s*\^\s*\{?\s*\d\d"
)
_TO_NUMBER = re.compile(r"\\(?:sum|prod)\s*_\s*\{[^{}=]*=\s*-?\d{1,2}\s*\}\s*\^\s*(?:\{\s*\d{1,2}\s*\}|\d)")


def over_bound(answer: str) -> str | None:
    """The bound that the answer is over, None if it is within all of them."""
    text = _TEXT.sub("", _INVISIBLE.sub("", answer))
    return next((reason for bound in _BOUNDS if (reason := bound(text)) is not None), None)


def _repetitions(text: str) -> str | None:
    found = list(_REPEATED.finditer(text))
    if not found:
        return None
    if len(found) > 1 or found[0][1].startswith("ii"):
        return "more than one integral, sum, product or limit"
    kind, body = found[0][1], text[found[0].end() :]
    if kind in ("sum", "prod") and "\\infty" in body:
        return f"\\{kind} to infinity"
    bounds = re.match(r"\s*_\s*(?:\{[^{}]*\}|\w)\s*(?:\^\s*(?:\{[^{}]*\}|\\?\w+?(?![a-zA-Z])|\d))?", body)
    body = body[bounds.end() :] if bounds else body
    if _FUNCTION.search(body) or _NOT_RATIONAL.search(body):
        return f"\\{kind} of more than a rational function"
    if kind == "lim" or _TO_NUMBER.search(text):
        return None
    denominators = (operand_after(body, operand_after(body, match.end())[1])[0] for match in _FRACTION.finditer(body))
    if _NOT_POLYNOMIAL.search(body) or not all(denominator.strip().isdigit() for denominator in denominators):
        return f"\\{kind} without numeric ends of more than a polynomial"
    if bounds and re.search(rf"\d{{{MAX_SUM_DIGITS + 1}}}", bounds[0]):
        return f"\\{kind} to a number of more than {MAX_SUM_DIGITS} digits"
    return None


def _changes(text: str) -> str | None:
    if len(_DERIVATIVE.findall(text)) > 2:
        return "more than 2 derivatives"
    if len(_AT.findall(text)) > 1:
        return "more than one value at a place"
    if _ROUNDED.search(text) and (_growth(text) > 1 or re.search(r"\^\s*\{?[^{}]*\d{3}", text)):
        return "the integer part of a power of a power, or with an exponent of more than 2 digits"
    return None


def _powers_of_sums(text: str) -> str | None:
    for match in re.finditer(r"[)}\]]\s*\^\s*\{?\s*-?(\d+)", text):
        base = operand_before(text, match.start() + 1)
        terms = 1 + len(re.findall(r"(?<=[\w)}])\s*[-+]", base))
        if (
            terms > 1
            and _LETTER.search(base.replace("i", ""))
            and math.comb(int(match[1]) + terms - 1, terms - 1) > MAX_MONOMIALS
        ):
            return f"a power of a sum of more than {MAX_MONOMIALS} monomials"
    return None


def _inequalities(text: str) -> str | None:
    return (
        "an inequality with an exponent of more than one digit on a letter" if _HIGH_INEQUALITY.search(text) else None
    )


def _depth(text: str) -> str | None:
    if len(_FUNCTION.findall(text)) > MAX_FUNCTIONS:
        return f"more than {MAX_FUNCTIONS} functions"
    if _growth(text) > MAX_GROWTH:
        return f"exponents and exponential functions nested deeper than {MAX_GROWTH}"
    depth = 0
    for bracket in re.findall(r"[(\[)\]]|\\[{}]", text):
        depth = depth + 1 if bracket in ("(", "[", "\\{") else max(depth - 1, 0)
        if depth > MAX_BRACKETS:
            return f"brackets nested deeper than {MAX_BRACKETS}"
    return None


def _growth(text: str) -> int:
    deepest = 0
    for match in _GROWTH.finditer(text):
        content, after = operand_after(text, match.end())
        if content == "(":
            content = text[after : closing_bracket(text, after - 1)]
        elif content == "\\":
            content = text[after - 1 :]
        deepest = max(deepest, 1 + _growth(content))
    return deepest


def _chains(text: str) -> str | None:
    if len(re.findall(r"\||\\[lr]?vert(?![a-zA-Z])", text)) > MAX_BARS:
        return f"more than {MAX_BARS} bars"
    operations = len(_SET_OPERATION.findall(text))
    if operations > (MAX_SYMBOLIC_UNIONS if _LETTER.search(text) else MAX_UNIONS):
        return "too many unions, intersections or differences"
    if any(len(re.findall(r"/|\\div(?![a-z])|:", part)) > MAX_DIVISIONS for part in re.split(r"[,;&]|\\\\", text)):
        return f"more than {MAX_DIVISIONS} divisions in a row"
    if _SUBSCRIPTS.search(text):
        return f"more than {MAX_SUBSCRIPTS} subscripts in a row"
    if text.count("_") > MAX_SUBSCRIPTS_IN_ALL:
        return f"more than {MAX_SUBSCRIPTS_IN_ALL} subscripts"
    if text.count(",") > MAX_ENTRIES:
        return f"a list of more than {MAX_ENTRIES} entries"
    if re.search(rf"(?<![\\a-zA-Z])[a-zA-Z]{{{MAX_LETTERS + 1}}}", text):
        return f"more than {MAX_LETTERS} letters in a row"
    return None


_BOUNDS: tuple[Callable[[str], str | None], ...] = (
    combinatorics,
    matrices,
    _repetitions,
    _changes,
    _powers_of_sums,
    _inequalities,
    _depth,
    _chains,
)
