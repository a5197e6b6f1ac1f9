"""Equality of two sympy objects: numbers exactly, formulas at points, all else by Math-Verify's comparison."""

from fractions import Fraction
from typing import Any

from math_verify import verify
from sympy import (
    Basic,
    Derivative,
    Eq,
    Expr,
    Integral,
    Interval,
    Limit,
    MatrixBase,
    Pow,
    Product,
    Rational,
    Set,
    Sum,
    Symbol,
    Tuple,
    acos,
    acot,
    asin,
    atan,
    cos,
    cosh,
    cot,
    csc,
    exp,
    log,
    sec,
    sin,
    sinh,
    tan,
    tanh,
)
from sympy import Union as SetUnion
from sympy.core.relational import Relational

from prerl_components.verifiers.compared.exact import same_number
from prerl_components.verifiers.compared.intervals import solution_set
from prerl_components.verifiers.compared.parsing import quietly
from prerl_components.verifiers.compared.refutation import differ, is_hard_to_solve, proportional

_UNEVALUATED = (Integral, Sum, Product, Limit, Derivative)
_SMOOTH = (exp, log, sin, cos, tan, cot, sec, csc, sinh, cosh, tanh, asin, acos, atan, acot)
_POINTS = ((7, 5), (13, 11), (29, 17), (5, 7), (31, 13), (19, 23), (11, 3), (3, 37))
"""Numerators and denominators: the values of the variables, none a root or a period of a formula met so far."""
_MAX_VARIABLES = 6
_MAX_POWER = 200
"""Largest exponent of a formula that is compared at points."""


def same_object(answer: Any, gold: Any) -> bool | None:
    """Whether two parsed answers are the same mathematical object; None if that cannot be decided."""
    if isinstance(gold, MatrixBase) and isinstance(answer, MatrixBase):
        return _same_matrix(answer, gold)
    if isinstance(answer, Expr) and isinstance(gold, Expr):
        return _same_expression(answer, gold)
    if (
        isinstance(answer, (Set, Relational, Basic))
        and (as_set := _set(answer)) is not None
        and (target := _set(gold)) is not None
    ):
        return _same_set(as_set, target)
    return by_math_verify(answer, gold)


def by_math_verify(answer: Any, gold: Any) -> bool | None:
    """Math-Verify's comparison (not symmetric: gold comes first); None if sympy raises on these two."""
    if quietly(differ, gold, answer):
        return False
    if isinstance(gold, Eq) and gold.free_symbols and isinstance(answer, Expr):
        return False
    if isinstance(answer, Expr) and isinstance(gold, (Interval, SetUnion, Tuple)):
        return False
    if any(isinstance(side, Set) for side in (answer, gold)) and any(is_hard_to_solve(side) for side in (answer, gold)):
        return None
    if any(isinstance(side, Eq) and _transcends(side) for side in (answer, gold)):
        # Solving these takes longer than any deadline, or fails.
        both = isinstance(answer, Eq) and isinstance(gold, Eq)
        return True if answer == gold or (both and quietly(proportional, gold, answer)) else None
    found = quietly(verify, gold, answer, timeout_seconds=None, raise_on_error=True, allow_set_relation_comp=True)
    return None if found is None else bool(found)


def _transcends(equation: Any) -> bool:
    """Whether an unknown stands under a function or in an exponent."""
    return any(part.free_symbols for part in equation.atoms(*_SMOOTH)) or any(
        power.exp.free_symbols for power in equation.atoms(Pow)
    )


def _same_matrix(answer: Any, gold: Any) -> bool | None:
    if answer.shape != gold.shape:
        return False
    found = [same_object(one, other) for one, other in zip(answer.flat(), gold.flat(), strict=True)]
    return False if False in found else None if None in found else True


def _same_expression(answer: Any, gold: Any) -> bool | None:
    if answer.has(*_UNEVALUATED) or gold.has(*_UNEVALUATED):
        return by_math_verify(answer, gold)
    if not answer.free_symbols and not gold.free_symbols:
        found = quietly(same_number, answer, gold)
        return bool(found) if found is not None else False if quietly(differ, gold, answer) else None
    if answer == gold:
        return True
    at_points = quietly(_same_at_points, answer, gold)
    if at_points is not None:
        return bool(at_points)
    return by_math_verify(answer, gold)


def _same_at_points(answer: Any, gold: Any) -> bool | None:
    """Whether two smooth formulas agree at positive and at negative points; None where they agree at some only, or are
    not of that kind (a formula with absolute values, whole parts or functions without a definition)."""
    symbols = sorted(answer.free_symbols | gold.free_symbols, key=str)
    if len(symbols) > _MAX_VARIABLES or not (_is_smooth(answer) and _is_smooth(gold)):
        return None
    found = [_same_at(answer, gold, symbols, shift, sign) for shift, sign in ((0, 1), (3, 1), (1, -1))]
    if found[0] is False or found[1] is False:
        return False
    return True if found == [True, True, True] else None


def _same_at(answer: Any, gold: Any, symbols: list[Any], shift: int, sign: int) -> bool | None:
    values = {symbol: Rational(*_POINTS[(place + shift) % len(_POINTS)]) * sign for place, symbol in enumerate(symbols)}
    return same_number(_placed(answer, values), _placed(gold, values))


def _placed(expression: Any, values: dict[Any, Any]) -> Any:
    """The expression with values for its variables, unevaluated: a power of a fraction may be large."""
    if isinstance(expression, Symbol):
        return values.get(expression, expression)
    if not expression.args:
        return expression
    parts = [_placed(part, values) for part in expression.args]
    if expression.is_Add or expression.is_Mul or expression.is_Pow:
        return expression.func(*parts, evaluate=False)
    return expression.func(*parts)


def _is_smooth(expression: Any) -> bool:
    if expression.is_Add or expression.is_Mul:
        return all(_is_smooth(part) for part in expression.args)
    if isinstance(expression, Pow):
        exponent = expression.exp
        within = not exponent.is_Rational or abs(Fraction(int(exponent.p), int(exponent.q))) <= _MAX_POWER
        return within and _is_smooth(expression.base) and _is_smooth(exponent)
    if isinstance(expression, _SMOOTH):
        return all(_is_smooth(part) for part in expression.args)
    return bool(expression.is_Symbol or (expression.is_number and expression.is_Atom))


def _set(found: Any) -> Any:
    if isinstance(found, (Interval, SetUnion)):
        return found
    return quietly(solution_set, found) if not isinstance(found, (Set, Tuple, Expr)) else None


def _same_set(one: Any, other: Any) -> bool | None:
    left, right = _intervals(one), _intervals(other)
    if left is None or right is None:
        return by_math_verify(one, other)
    if len(left) != len(right):
        return by_math_verify(one, other) if one != other else True
    ends = [_same_interval(first, second) for first, second in zip(left, right, strict=True)]
    return False if False in ends else None if None in ends else True


def _intervals(found: Any) -> list[Any] | None:
    parts = found.args if isinstance(found, SetUnion) else (found,)
    if not all(isinstance(part, Interval) and part.start.is_number and part.end.is_number for part in parts):
        return None
    return sorted(parts, key=lambda part: (float(part.start), float(part.end)))


def _same_interval(one: Any, other: Any) -> bool | None:
    if (one.left_open, one.right_open) != (other.left_open, other.right_open):
        return False
    ends = [same_number(one.start, other.start), same_number(one.end, other.end)]
    return False if False in ends else None if None in ends else True
