"""Refutes an equality by values at a few points, so that no wrong answer has to be simplified.

Math-Verify simplifies the difference of two expressions before it calls them different: for `(x+y)^{40}`, or for a number
of 200 digits against `x^2+1`, that takes longer than any deadline. Values at a common point are enough for "different";
"the same" stays Math-Verify's to say.
"""

from collections.abc import Collection, Iterable
from typing import Any

from sympy import (
    Derivative,
    Expr,
    FiniteSet,
    Integral,
    Interval,
    Limit,
    MatrixBase,
    Product,
    Rational,
    Sum,
    Symbol,
    Tuple,
)

RELATIVE_GAP = 1e-4
"""Ten times the tolerance between a decimal and a fraction that count as the same."""

_UNEVALUATED = (Derivative, Integral, Limit, Product, Sum)
_DIGITS = 15
_NUM_POINTS = 3


def differ(gold: Any, answer: Any) -> bool:
    """Whether the values are far apart at every point of a few at which both have one.

    Expressions in the same symbols get the same values; tuples, intervals and matrices of one size are compared entry by
    entry, and a finite set lacks an element that differs from all of its. False is no finding: other containers, no value,
    values close by, or an expression whose value would itself be long in coming.
    """
    if isinstance(gold, FiniteSet) and isinstance(answer, FiniteSet):
        return len(gold) == len(answer) and any(all(differ(one, other) for other in answer) for one in gold)
    if (entries := _entries(gold, answer)) is not None:
        return any(differ(one, other) for one, other in entries)
    if not isinstance(gold, Expr) or not isinstance(answer, Expr):
        return False
    if isinstance(gold, Symbol) or isinstance(answer, Symbol):
        return False  # `\text{even}` and `even` are names, of which one was parsed as a product of letters
    if gold.has(*_UNEVALUATED) or answer.has(*_UNEVALUATED):
        return False
    symbols = gold.free_symbols | answer.free_symbols
    return all(_far(gold, answer, point) for point in _points(symbols))


def _entries(gold: Any, answer: Any) -> Iterable[tuple[Any, Any]] | None:
    """The pairs that must all be equal, None where the containers are none or of two sizes."""
    one, other = (Tuple(side.start, side.end) if isinstance(side, Interval) else side for side in (gold, answer))
    if isinstance(one, Tuple) and isinstance(other, Tuple) and len(one) == len(other):
        return zip(one, other, strict=True)  # `(1,2)` is parsed as an interval, `(2,1)` as a tuple
    if isinstance(gold, MatrixBase) and isinstance(answer, MatrixBase) and gold.shape == answer.shape:
        return zip(gold.flat(), answer.flat(), strict=True)
    return None


def _points(symbols: Collection[Any]) -> list[dict[Any, Any]]:
    """Positive rationals from 1/3, different ones for each name; one empty point where there is no symbol."""
    if not symbols:
        return [{}]
    # Math-Verify's `x` of a text with an imaginary unit and its `x` of one without are two symbols of one name.
    places = {name: place for place, name in enumerate(sorted({symbol.name for symbol in symbols}))}
    return [
        {symbol: Rational(37 + 61 * start + 29 * places[symbol.name], 109) for symbol in symbols}
        for start in range(_NUM_POINTS)
    ]


def _far(gold: Expr, answer: Expr, point: dict[Any, Any]) -> bool:
    """Whether both have a value there, each known to 15 digits, and these are far apart."""
    try:
        one, other = (side.evalf(_DIGITS, subs=point, strict=True) for side in (gold, answer))
        return bool(abs(one - other) > RELATIVE_GAP * max(abs(one), abs(other)))
    except MemoryError:
        raise
    except Exception:
        return False
