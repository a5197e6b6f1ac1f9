r"""Bounds by kind of construct: what LaTeX can ask for in forty characters and no parser or simplifier can finish.

| construct | bound | measured beyond it |
|---|---|---|
| binomial coefficients `\binom`, `\choose` | operands of at most 5 digits in all, below a letter 2, below a root or a decimal 1; no powers, factorials or binomials inside | `\binom{999999999}{500000000}` is evaluated while it is parsed |
| falling factorials `(n)_{k}` | at most 3 digits in each operand | read as n!/(n−k)! |
| factorials and Γ | operand of at most 3 digits in all, no powers, factorials, Γ or binomials inside; 20 signs `!` | `(9^9)!`, `\Gamma(\Gamma(\Gamma(5)))` |
| `\gcd`, `\lcm` | of integers and polynomials, nothing else beside | `\gcd(10^{12},i)^{99}` |
| determinants | at most 3 rows, 8 if no entry has a letter | a symbolic one of 4 rows: > 2 s |
| powers of matrices | at most 3 rows, 2 with letters; exponent: an integer of at most 3 digits, with letters at most 3 | `A^x` is a Jordan form |
| products of matrices | 4 matrices | 7: 1 s |
| functions of matrices | none but det, rank and trace | eigenvalues, singular values, null spaces; `\operatorname{zeros}(9999,9999)` |
| integrals, limits | one, of a polynomial (limits: of a rational function) | `\int_0^1 \sin(x^x)e^{x^3}dx` |
| sums and products | one; to a number: at most 2 digits, no functions, roots, factorials or binomials; to a symbol: of a polynomial; to ∞: none | `\sum_{k=0}^{50}\binom{50}{k}`, `\prod_{k=2}^{\infty}(1-\frac{1}{k^2})` |
| derivatives, values at a place `\|_{x=2}` | 2, 1 | twenty derivatives of a tangent |
| powers of a sum with letters | at most 60 monomials when multiplied out | `(x+y+z+w+u+v)^{99}` has 10⁸ |
| integer parts | exponents of at most 2 digits, no powers of powers | `\lfloor(1+\sqrt{2})^{9999}\rfloor` |
| growth: exponents, exp, sinh, cosh in each other | 3 | e^{e^{e^{e^x}}} has no value that fits |
| functions | 5 in all | parsing doubles with each: 10 tangents: > 6 s |
| brackets `(`, `[`, `\{` in each other | 6 | ten: > 6 s in the parser |
| bars, unions and differences, division signs in a row, subscripts of subscripts | 12, 5 (3 with letters), 8, 8 | the parser doubles with each |
| letters in a row, entries of a list | 100, 60 | 150 entries: > 6 s in the parser |

A bound is on the text: the same finding on every machine, before any parser. Every gold answer of the public sets is
within all of them.
"""

import math
import re
from collections.abc import Callable, Iterator

from prerl_components.verifiers.boxed import braced

MAX_COMBINATORIAL_DIGITS = 5
MAX_FACTORIAL_DIGITS = 3
MAX_FACTORIALS = 20
MAX_DETERMINANT = 3
MAX_NUMERIC_DETERMINANT = 8
MAX_MATRICES = 4
MAX_MONOMIALS = 60
MAX_FUNCTIONS = 5
MAX_GROWTH = 3
MAX_BRACKETS = 6
MAX_BARS = 12
MAX_UNIONS = 5
MAX_SYMBOLIC_UNIONS = 3
MAX_DIVISIONS = 8
MAX_SUBSCRIPTS = 8
MAX_LETTERS = 100
MAX_ENTRIES = 60
MAX_SUM_DIGITS = 2

_INVISIBLE = re.compile(r"\\(?:left|right|[bB]igg?[lr]?|displaystyle|limits|[!,;:>])(?![a-zA-Z])|\{,\}|~|\\ ")
_TEXT = re.compile(r"\\(?:text|mbox|textbf|textit|textrm)\s*\{[^{}]*\}")
_DIGIT = re.compile(r"\d")
_LETTER = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]")
_FUNCTION = re.compile(
    r"\\?(?:arc|ar|a)?(?:sin|cos|tan|cot|sec|csc)h?(?![a-z])|\\(?:log|ln|exp|max|min|gcd|lcm|det|Gamma|gamma)(?![a-zA-Z])"
    r"|\\operatorname\b"
)
_GROWTH = re.compile(r"\^|\\(?:exp|sinh|cosh)(?![a-zA-Z])")
_BINOMIAL = re.compile(r"\\[dt]?binom(?![a-zA-Z])|\\choose(?![a-zA-Z])")
_FALLING = re.compile(r"\(([^()]*)\)\s*_\s*(?:\{([^{}]*)\}|(\w))")
_GAMMA = re.compile(r"\\(?:Gamma|gamma)(?![a-zA-Z])")
_DIVISORS = re.compile(r"\\(?:gcd|lcm)(?![a-zA-Z])|\\operatorname\s*\{\s*(?:gcd|lcm)")
_MATRIX = re.compile(r"\\begin\{(\w*matrix|array)\}(.*?)\\end\{\1\}", re.DOTALL)
_MATRIX_POWER = re.compile(r"\\end\{(?:\w*matrix|array)\}\s*[)\]}|]*\s*\^")
_MATRIX_FUNCTION = re.compile(r"\\operatorname\s*\{\s*(?!det|rank|tr\b|trace|gcd|lcm)\w+\s*\}")
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
_NOT_POLYNOMIAL = re.compile(
    r"/|\\div|\^\s*\{?\s*-|\\[dtc]?frac\s*(?:\{[^{}]*\}|\d)\s*(?:\{[^{}]*[^\d{}\s][^{}]*\}|[^\d{\s])"
)
_TO_NUMBER = re.compile(
    r"\\(?:sum|prod)\s*_\s*\{[^{}=]*=\s*-?\d{1,%d}\s*\}\s*\^\s*(?:\{\s*\d{1,%d}\s*\}|\d)" % ((MAX_SUM_DIGITS,) * 2)
)


def over_bound(answer: str) -> str | None:
    """The bound that the answer is over, None if it is within all of them."""
    text = _TEXT.sub("", _INVISIBLE.sub("", answer))
    return next((reason for bound in _BOUNDS if (reason := bound(text)) is not None), None)


def _combinatorics(text: str) -> str | None:
    operands = list(_binomial_operands(text))
    for upper, lower in zip(operands[::2], operands[1::2], strict=True):
        if _heavy(upper, MAX_COMBINATORIAL_DIGITS) or _heavy(lower, MAX_COMBINATORIAL_DIGITS):
            return "a binomial coefficient of more than 5 digits, or of powers, factorials or binomials"
        allowed = 1 if re.search(r"[ei.\\]", upper) else MAX_SUM_DIGITS
        if not re.fullmatch(r"[\d\s+-]*", upper) and len(_DIGIT.findall(lower)) > allowed:
            return f"a binomial coefficient of no number over a number of more than {allowed} digits"
    for match in _FALLING.finditer(text):
        if match[1].count(",") == 0 and any(_heavy(part or "", MAX_FACTORIAL_DIGITS) for part in match.groups()):
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
        upper, after = _operand(text, match.end())
        yield upper
        yield _operand(text, after)[0]


def _operand(text: str, start: int) -> tuple[str, int]:
    """The content of the group after `start`, or the next character, and the place after it."""
    while text[start : start + 1].isspace():
        start += 1
    content = braced(text, start)
    return (text[start : start + 1], start + 1) if content is None else (content, start + len(content) + 2)


def _factorial_operands(text: str) -> Iterator[str]:
    """What stands before each `!`: a number, or brackets with the groups before them; and what Γ is applied to."""
    for match in re.finditer("!", text):
        yield _before(text, match.start())
    for match in _GAMMA.finditer(text):
        content, _ = _operand(text, match.end())
        if content == "(":
            start = text.index("(", match.end())
            content = text[start : _closing(text, start)]
        yield content


def _before(text: str, end: int) -> str:
    """The operand that ends before `end`."""
    place = len(text[:end].rstrip())
    if text[place - 1 : place] == "!":
        return "!"
    while place and text[place - 1] in ")}]":
        depth = 0
        while place:
            place -= 1
            depth += (text[place] in ")}]") - (text[place] in "([{")
            if depth == 0:
                break
        if text[place] == "(":
            return text[place:end]
        place = len(text[:place].rstrip())
    number = re.search(r"[\d.,\s]*$", text[:place])
    return text[number.start() if number else place : end]


def _closing(text: str, start: int) -> int:
    depth = 0
    for place in range(start, len(text)):
        depth += (text[place] in "([{") - (text[place] in ")]}")
        if depth == 0:
            return place + 1
    return len(text)


def _matrices(text: str) -> str | None:
    if _MATRIX_FUNCTION.search(text) and (_MATRIX.search(text) or re.search(r"eye|zeros|ones|diag", text)):
        return "a function of a matrix other than det, rank and trace"
    found = list(_MATRIX.finditer(text))
    if not found:
        return None
    if len(found) > MAX_MATRICES and not re.search(r"\\cup|,\s*\\begin", text):
        return f"more than {MAX_MATRICES} matrices"
    rows = max(len(re.findall(r"\\\\", match[2])) + 1 for match in found)
    symbolic = any(_LETTER.search(match[2].replace("\\\\", " ")) for match in found)
    is_determinant = any(match[1] == "vmatrix" for match in found) or "\\det" in text or "operatorname" in text
    if is_determinant and rows > (MAX_DETERMINANT if symbolic else MAX_NUMERIC_DETERMINANT):
        return f"a determinant of {rows} rows"
    for match in _MATRIX_POWER.finditer(text):
        exponent = _operand(text, match.end())[0].strip()
        if exponent in ("T", "\\top", "\\prime"):
            continue
        if rows > MAX_DETERMINANT - symbolic or not re.fullmatch(r"-?[1-3]" if symbolic else r"-?\d{1,3}|-", exponent):
            return "a power of a matrix: more than 3 rows, 2 with letters, or an exponent that is no short integer"
    return None


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
    if _NOT_POLYNOMIAL.search(body):
        return f"\\{kind} without numeric ends of more than a polynomial"
    if bounds and re.search(r"\d{%d}" % (MAX_SUM_DIGITS + 1), bounds[0]):
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
        base = _before(text, match.start() + 1)
        terms = 1 + len(re.findall(r"(?<=[\w)}])\s*[-+]", base))
        if (
            terms > 1
            and _LETTER.search(base.replace("i", ""))
            and math.comb(int(match[1]) + terms - 1, terms - 1) > MAX_MONOMIALS
        ):
            return f"a power of a sum of more than {MAX_MONOMIALS} monomials"
    return None


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
        content, after = _operand(text, match.end())
        if content == "(":
            content = text[after : _closing(text, after - 1)]
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
    if text.count(",") > MAX_ENTRIES:
        return f"a list of more than {MAX_ENTRIES} entries"
    if re.search(r"(?<![\\a-zA-Z])[a-zA-Z]{%d}" % (MAX_LETTERS + 1), text):
        return f"more than {MAX_LETTERS} letters in a row"
    return None


_BOUNDS: tuple[Callable[[str], str | None], ...] = (
    _combinatorics,
    _matrices,
    _repetitions,
    _changes,
    _powers_of_sums,
    _depth,
    _chains,
)
