"""Refutes an equality by values at a few points, so that no wrong answer has to be simplified.

Math-Verify simplifies the difference of two expressions before it calls them different: for `(x+y)^{40}`, or for a number
of 200 digits against `x^2+1`, that takes longer than any deadline. Values at a common point are enough for "different";
"the same" stays Math-Verify's to say.
"""

from collections.abc import Collection, Iterable, Iterator
from itertools import pairwise
from typing import Any

from latex2sympy2_extended.logic import And
from sympy import (
    Derivative,
    Eq,
    Expr,
    FiniteSet,
    Integral,
    Interval,
    Limit,
    MatrixBase,
    Poly,
    Pow,
    Product,
    Rational,
    Set,
    Sum,
    Symbol,
    Tuple,
)
from sympy.core.relational import Relational

RELATIVE_GAP = 1e-4
"""Ten times the tolerance between a decimal and a fraction that count as the same."""

_UNEVALUATED = (Derivative, Integral, Limit, Product, Sum)
_DIGITS = 15
_MANY_POINTS = 48
_MAX_DEGREE = 12
_BISECTIONS = 40
_MAX_SOLVED_EXPONENT, _MAX_SOLVED_OPERATIONS = 3, 15


def differ(gold: Any, answer: Any) -> bool:
    """Whether the values are far apart at every point of a few at which both have one.

    Expressions in the same symbols get the same values; tuples, intervals and matrices of one size are compared entry by
    entry, a finite set lacks an element that differs from all of its, a solution of an equation does not solve the other,
    and inequalities hold at different points. False is no finding: other containers, no value,
    values close by, or an expression whose value would itself be long in coming.
    """
    if isinstance(gold, FiniteSet) and isinstance(answer, FiniteSet):
        return len(gold) == len(answer) and any(all(differ(one, other) for other in answer) for one in gold)
    if (entries := _entries(gold, answer)) is not None:
        return any(differ(one, other) for one, other in entries)
    if isinstance(gold, Relational) and isinstance(answer, Relational):
        return _relations_differ(gold, answer)
    for numbers, condition in ((gold, answer), (answer, gold)):
        if isinstance(numbers, Set) and isinstance(condition, (Relational, And)):
            return _admits_others(numbers, condition)
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
    if isinstance(gold, And) and isinstance(answer, And) and len(gold.args) == len(answer.args):
        return zip(gold._unsorted_args, answer._unsorted_args, strict=True)
    if isinstance(one, Tuple) and isinstance(other, Tuple) and len(one) == len(other):
        return zip(one, other, strict=True)  # `(1,2)` is parsed as an interval, `(2,1)` as a tuple
    if isinstance(gold, MatrixBase) and isinstance(answer, MatrixBase) and gold.shape == answer.shape:
        return zip(gold.flat(), answer.flat(), strict=True)
    return None


def _relations_differ(gold: Any, answer: Any) -> bool:
    symbols = gold.free_symbols | answer.free_symbols
    if not symbols:
        return False
    if isinstance(gold, Eq) and isinstance(answer, Eq):
        names = [{symbol.name for symbol in side.free_symbols} for side in (gold, answer)]
        if all(names) and not names[0] & names[1]:
            return True
        return any(
            _misses(other, solution, unknown)
            for one, other in ((gold, answer), (answer, gold))
            for solution, unknown in _solutions(one, symbols)
        )
    if isinstance(gold, Eq) or isinstance(answer, Eq):
        return False
    truths = [[_holds(side, point) for point in _points(symbols, _MANY_POINTS)] for side in (gold, answer)]
    return any({one, other} == {True, False} for one, other in zip(*truths, strict=True))


def proportional(gold: Any, answer: Any) -> bool:
    """Whether the differences of the sides of two equations are in one ratio, other than 0, at every point of a few."""
    one, other = (side.lhs - side.rhs for side in (gold, answer))
    ratios = [
        (one / other).evalf(_DIGITS, subs=point, strict=True)
        for point in _points(gold.free_symbols | answer.free_symbols, 6)
    ]
    return all(bool(abs(ratios[0]) > 0 and abs(ratio - ratios[0]) < abs(ratios[0]) / 10**10) for ratio in ratios)


def is_hard_to_solve(condition: Any) -> bool:
    """Whether an inequality is more than a short quotient of small degree in one letter: solving it may take minutes."""
    parts = _inequalities(condition)
    if not parts:
        return False
    symbols = set[Any]().union(*(part.free_symbols for part in parts))
    return len(symbols) != 1 or any(
        not (part.lhs - part.rhs).is_rational_function(*symbols)
        or part.count_ops() > _MAX_SOLVED_OPERATIONS
        or any(abs(power.exp) > _MAX_SOLVED_EXPONENT for power in part.atoms(Pow))
        for part in parts
    )


def _admits_others(numbers: Any, condition: Any) -> bool:
    """Whether a number lies in the set and does not fulfil the inequalities in one letter, or the reverse."""
    parts = _inequalities(condition)
    if len(symbols := set[Any]().union(*(part.free_symbols for part in parts))) != 1:
        return False
    (unknown,) = symbols
    for place in (Rational(k * 37, 109) * (1 + abs(k) // 20) for k in range(-40, 41)):
        truths = [_holds(part, {unknown: place}) for part in parts]
        holds = False if False in truths else None if None in truths else True
        if holds is not None and numbers.contains(place) in (True, False) and bool(numbers.contains(place)) != holds:
            return True
    return False


def _inequalities(condition: Any) -> list[Any]:
    parts = condition._unsorted_args if isinstance(condition, And) else [condition]
    found = [part for part in parts if isinstance(part, Relational) and not isinstance(part, Eq)]
    return found if len(found) == len(parts) else []


def _misses(equation: Any, place: dict[Any, Any], unknown: Any) -> bool:
    """Whether the sides differ there, measured by how far apart they are a seventh beside it."""
    difference = equation.lhs - equation.rhs
    try:
        here, beside = (
            abs(difference.evalf(_DIGITS, subs=place | {unknown: place[unknown] + shift}))
            for shift in (0, Rational(1, 7))
        )
        return bool(here > RELATIVE_GAP * beside)
    except MemoryError:
        raise
    except Exception:
        return False


def _solutions(equation: Any, symbols: Collection[Any]) -> Iterator[tuple[dict[Any, Any], Any]]:
    """Real solutions of an equation that is a polynomial of small degree in one of its symbols, and that symbol; of any
    other in one symbol, those between -6 and 6 that a change of sign shows."""
    difference = equation.lhs - equation.rhs
    if len(symbols) == 1 and not difference.is_polynomial(*symbols):
        (unknown,) = symbols
        yield from (({unknown: root}, unknown) for root in _crossings(difference, unknown))
        return
    for unknown in sorted(equation.free_symbols, key=str):
        if not difference.is_polynomial(unknown) or _degree(difference, unknown) > _MAX_DEGREE:
            continue
        for point in _points(symbols, 8):
            others = {symbol: value for symbol, value in point.items() if symbol != unknown}
            roots = Poly(difference.subs(others), unknown).nroots(n=_DIGITS)
            yield from ((others | {unknown: Rational(root)}, unknown) for root in roots if root.is_real)


def _crossings(difference: Any, unknown: Any) -> Iterator[Any]:
    """Places where a function of one symbol changes its sign and comes close to 0 (at a pole it does not)."""
    values = [
        (place, _real_at(difference, unknown, place)) for place in (Rational(k * 31, 100) for k in range(-19, 20))
    ]
    for (left, at_left), (right, at_right) in pairwise(values):
        if at_left is None or at_right is None or at_left * at_right >= 0:
            continue
        size = max(abs(at_left), abs(at_right))
        for _ in range(_BISECTIONS):
            middle = (left + right) / 2
            value = _real_at(difference, unknown, middle)
            if value is None:
                break
            left, right = (middle, right) if value * at_left > 0 else (left, middle)
        else:
            if abs(value or 0) < size * RELATIVE_GAP / 10**3:
                yield left


def _real_at(expression: Any, unknown: Any, place: Any) -> Any:
    value = expression.evalf(_DIGITS, subs={unknown: place})
    return value if value.is_Float or value.is_Integer else None


def _degree(expression: Any, unknown: Any) -> int:
    """The largest degree that multiplying out could give, without doing so."""
    if expression == unknown:
        return 1
    degrees = [_degree(part, unknown) for part in expression.args]
    if expression.is_Pow:
        return degrees[0] * max(int(expression.exp), 0) if degrees[0] else 0
    return sum(degrees) if expression.is_Mul else max(degrees, default=0)


def _holds(relation: Any, point: dict[Any, Any]) -> bool | None:
    """Whether an inequality holds there; None where a side has no value, or where the sides are close by."""
    if not _far(relation.lhs, relation.rhs, point):
        return None
    try:
        truth = relation.func(*(side.evalf(_DIGITS, subs=point) for side in (relation.lhs, relation.rhs)))
    except TypeError:  # no order between complex numbers
        return None
    return bool(truth) if truth in (True, False) else None


def _points(symbols: Collection[Any], count: int = 3) -> list[dict[Any, Any]]:
    """Rationals from 1/3, beyond the third also negative ones, a different one for each name; one empty point where there
    is no symbol."""
    if not symbols:
        return [{}]
    # Math-Verify's `x` of a text with an imaginary unit and its `x` of one without are two symbols of one name.
    places = {name: place for place, name in enumerate(sorted({symbol.name for symbol in symbols}))}
    return [
        {
            symbol: Rational((37 + 61 * start + 29 * places[symbol.name]) * (-1) ** (start // 3), 109)
            for symbol in symbols
        }
        for start in range(count)
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
