"""Equality of two numbers, decided: exactly where both are rational, else to more digits than two expressions of a few
hundred characters can agree in by accident.

Math-Verify rounds decimals to six places and compares other numbers to fifteen digits: 0.33333333 would be 1/3, a nest of
square roots its limit. Here a decimal is the fraction that it spells. Nothing is computed with more than `MAX_BITS` bits.
"""

import math
from fractions import Fraction
from typing import Any

from sympy import Add, Basic, E, Float, Integer, Mul, Pow, Rational, binomial, exp, factorial, log, nan, oo, zoo
from sympy.core.expr import UnevaluatedExpr

MAX_BITS = 200_000
"""Size of an integer that is still computed exactly; 9999^9999 has 132,864 bits."""
MAX_DIGITS = 2_000
"""Digits of a numeric comparison."""
MIN_DIGITS = 60
_SIGNIFICANT = 40
"""Digits in which two numbers must agree; at least twenty fewer than are computed."""


def same_number(one: Any, other: Any) -> bool | None:
    """Whether two sympy expressions without symbols are the same number; None if that cannot be decided."""
    if one == other:
        return not _is_undefined(one) or None
    if _is_undefined(one) or _is_undefined(other):
        return False
    left, right = rational(one), rational(other)
    if left is not None and right is not None:
        return left == right
    return _same_digits(one, other)


def spelled(expression: Any) -> Any:
    """The expression with each decimal replaced by the fraction that its digits spell; nothing else is evaluated."""
    if isinstance(expression, Float):
        return Rational(str(expression))
    if not isinstance(expression, Basic) or not expression.args or not expression.atoms(Float):
        return expression
    parts = [spelled(part) for part in expression.args]
    if isinstance(expression, (Add, Mul, Pow)):
        return expression.func(*parts, evaluate=False)
    return expression.func(*parts)


def rational(expression: Any) -> Fraction | None:
    """The value of an expression of integers, fractions, sums, products and whole powers; None for others, or too large."""
    try:
        return _rational(expression)
    except (ZeroDivisionError, OverflowError):
        return None


def _rational(expression: Any) -> Fraction | None:
    if isinstance(expression, (Integer, Rational)):
        return Fraction(int(expression.p), int(expression.q))
    if isinstance(expression, Float):
        return Fraction(str(expression))
    if isinstance(expression, UnevaluatedExpr):
        return _rational(expression.args[0])
    if isinstance(expression, (Add, Mul)):
        parts = [_rational(part) for part in expression.args]
        total = Fraction(0 if isinstance(expression, Add) else 1)
        for part in parts:
            if part is None or _bits(part) + _bits(total) > MAX_BITS:
                return None
            total = total + part if isinstance(expression, Add) else total * part
        return total
    if isinstance(expression, Pow):
        return _power(_rational(expression.base), _rational(expression.exp))
    if isinstance(expression, factorial):
        return _factorial(_rational(expression.args[0]))
    if isinstance(expression, binomial):
        return _binomial(*(_rational(part) for part in expression.args))
    return None


def _power(base: Fraction | None, exponent: Fraction | None) -> Fraction | None:
    if base is None or exponent is None:
        return None
    if exponent.denominator != 1:
        return _root(base, exponent)
    if _bits(base) * abs(exponent.numerator) > MAX_BITS:
        return None
    return base**exponent.numerator


def _root(base: Fraction, exponent: Fraction) -> Fraction | None:
    """Square roots of squares, so that `\\sqrt{49}` is exact; None for all others."""
    if exponent.denominator != 2 or base < 0:
        return None
    top, bottom = math.isqrt(base.numerator), math.isqrt(base.denominator)
    if top * top != base.numerator or bottom * bottom != base.denominator:
        return None
    return _power(Fraction(top, bottom), Fraction(exponent.numerator))


def _factorial(number: Fraction | None) -> Fraction | None:
    if number is None or number.denominator != 1 or not 0 <= number <= 3000:
        return None
    return Fraction(math.factorial(number.numerator))


def _binomial(top: Fraction | None, bottom: Fraction | None) -> Fraction | None:
    if top is None or bottom is None or top.denominator != 1 or bottom.denominator != 1:
        return None
    if not 0 <= bottom <= top <= 5000:
        return None
    return Fraction(math.comb(top.numerator, bottom.numerator))


def _bits(number: Fraction) -> int:
    return number.numerator.bit_length() + number.denominator.bit_length()


def _is_undefined(number: Any) -> bool:
    return bool(getattr(number, "has", None) and (number.has(nan) or number.has(zoo)))


def _same_digits(one: Any, other: Any) -> bool | None:
    if one.has(oo) or other.has(oo):
        return bool(one.doit() == other.doit())
    sizes = [_magnitude(number) for number in (one, other)]
    if any(size is None for size in sizes):
        return None
    size = max(abs(each) for each in sizes if each is not None)
    digits = MIN_DIGITS + 2 * size
    if digits > MAX_DIGITS:
        return None
    left, right = one.evalf(digits, maxn=2 * MAX_DIGITS), other.evalf(digits, maxn=2 * MAX_DIGITS)
    if not (left.is_number and right.is_number) or not (_is_numeric(left) and _is_numeric(right)):
        return None
    scale = max(abs(left), abs(right))
    gap = abs(left - right)
    return bool(gap <= scale * Float(10) ** -(digits - MIN_DIGITS + _SIGNIFICANT)) or bool(
        scale < Float(10) ** -(_SIGNIFICANT + 2 * size)
    )


def _magnitude(number: Any) -> int | None:
    """The number of decimal digits before the point, or of zeros after it, in the largest number met on the way."""
    largest = 0
    for part in _walk(number):
        if not part.is_number:
            continue
        value = part.evalf(5)
        if not _is_numeric(value):
            return None
        bound = abs(value)
        if bound.is_Float and bound != 0:
            largest = max(largest, abs(int(bound._mpf_[2] + bound._mpf_[3]) * 3 // 10))
    return largest


def _walk(expression: Any) -> list[Any]:
    """The expression and the arguments of its functions: values that can cancel."""
    found, waiting = list[Any](), [expression]
    while waiting and len(found) < 200:
        part = waiting.pop()
        found.append(part)
        if isinstance(part, (Add, Mul, Pow, exp, log, UnevaluatedExpr)):
            waiting += [each for each in part.args if each is not E]
    return found


def _is_numeric(value: Any) -> bool:
    real, imaginary = value.as_real_imag()
    return bool((real.is_Float or real.is_Rational) and (imaginary.is_Float or imaginary.is_Rational))
