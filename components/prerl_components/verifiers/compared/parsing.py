"""LaTeX read by Math-Verify's parser, once a text, with symbols and decimals that compare exactly."""

import re
from functools import lru_cache
from typing import Any

from latex2sympy2_extended import NormalizationConfig, latex2sympy
from latex2sympy2_extended.latex2sympy2 import ConversionConfig
from sympy import Basic, I, Integral, MatrixBase, Product, Sum, Symbol

from prerl_components.verifiers.compared.exact import spelled
from prerl_components.verifiers.gate import refusal
from prerl_components.verifiers.written.answer_text import separated
from prerl_components.verifiers.written.numerals import numerals

NORMALISATION = NormalizationConfig(
    basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="none", equations=False
)
"""Math-Verify's own, but for units: it takes the `t` of `2t` for one."""

_CASED = ConversionConfig(lowercase_symbols=False)
_UNCASED = ConversionConfig()
"""Math-Verify's own: `N` is `n`."""

_NO_LETTERS = re.compile(r"\\(?:text|operatorname)\s*\{[^{}]*\}|\\[A-Za-z]+")
_LONE_BACKSLASH = re.compile(r"(?<!\\)\\(?=[-\d])")
_UNREADABLE = re.compile(
    r"\\undecided|\\ldots|(?<!\\)_\{?\s*\\text\{\s*base|\d_\{?\d|(?<![\d._^])(?<!frac)(?<!frac )(?<!binom )\d+(?:\.\d+)?\s+\d"
)


@lru_cache(maxsize=8192)
def parsed(text: str) -> Any | None:
    """The sympy object that the text denotes; None if it does not parse or is over the gate's limits."""
    readable = separated(numerals(text))
    if readable != text and refusal(readable) is not None:
        return None
    if _UNREADABLE.search(readable):
        return None
    if "\\begin" in readable:
        # Rows of a matrix end in two backslashes; the MATH data set lost one of each. \1 and \- have no other meaning.
        readable = re.sub(r"\\cr(?![a-z])", r"\\\\", _LONE_BACKSLASH.sub(r"\\\\", readable))
    found = quietly(
        latex2sympy,
        readable,
        is_real=True,
        convert_degrees=False,
        normalization_config=NORMALISATION,
        conversion_config=_CASED if _has_both_cases(readable) else _UNCASED,
    )
    return None if found is None else quietly(_comparable, found)


def _has_both_cases(text: str) -> bool:
    """Whether a letter stands in the text as a capital and as a small one: R and r of `R^2-r^2` are two numbers."""
    letters = set(re.findall("[A-Za-z]", _NO_LETTERS.sub(" ", text)))
    return any(letter.lower() in letters for letter in letters if letter.isupper())


def quietly(function: Any, *arguments: Any, **named: Any) -> Any:
    """The result, or None if sympy raises on such an expression: a deterministic finding about the answer. A
    MemoryError is not one, and is raised."""
    try:
        return function(*arguments, **named)
    except MemoryError:
        raise
    except Exception:
        return None


def _comparable(found: Any) -> Any:
    """The object with the imaginary unit for `i` and with fractions for decimals."""
    if isinstance(found, MatrixBase):
        return found.applyfunc(_comparable)
    if not isinstance(found, Basic):
        return None
    exact = spelled(found)
    imaginary = Symbol("i", real=True)
    if imaginary in exact.free_symbols and not exact.has(Sum, Product, Integral):
        return _replaced(exact, imaginary)
    return exact


def _replaced(expression: Any, imaginary: Any) -> Any:
    if expression == imaginary:
        return I
    if not expression.args or imaginary not in expression.free_symbols:
        return expression
    parts = [_replaced(part, imaginary) for part in expression.args]
    if expression.is_Add or expression.is_Mul or expression.is_Pow:
        return expression.func(*parts, evaluate=False)
    return expression.func(*parts)
