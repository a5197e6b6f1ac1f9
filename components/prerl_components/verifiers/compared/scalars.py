"""Whether one expression says what another says: in its base, its letters, its unit, its percent sign, its value."""

import re
from fractions import Fraction
from typing import Any, Literal, TypeAlias

from sympy import Expr, Mul, Rational, Set, pi

from prerl_components.verifiers.compared.expressions import same_object
from prerl_components.verifiers.compared.ratios import same_ratio, terms
from prerl_components.verifiers.compared.reading import Scalar
from prerl_components.verifiers.written.bases import digits_alone, same_digits
from prerl_components.verifiers.written.letters import as_number, is_product, same_capitals, same_letters, same_time
from prerl_components.verifiers.written.units import bare_letter_unit, is_compound, same_measure

Percent: TypeAlias = Literal["number", "strict"]
"""Whether a percent sign may be missing on one side; see `docs/verdicts.md`."""


_DEGREES, _RADIANS = (("angle", 1),), (("radian", 1),)


def same_scalar(answer: Scalar, gold: Scalar, percent: Percent) -> bool | None:
    """Whether the answer is the gold answer; None if that cannot be decided."""
    one, other = answer.in_base, gold.in_base
    if one is not None or other is not None:
        one, other = one or digits_alone(answer.text), other or digits_alone(gold.text)
        return one is not None and other is not None and same_digits(one, other)
    if "\\ldots" in (answer.text, gold.text):
        return False
    if (ratio := terms(answer.bare)) or terms(gold.bare):
        return same_ratio(ratio, terms(gold.bare)) and same_measure(answer.unit, gold.unit)
    if _on_one_clock(answer) == _on_one_clock(gold) is not None:
        return True
    if (same := same_time(answer.bare, gold.bare)) is not None and (same or _is_time(answer) or _is_time(gold)):
        return same and same_measure(answer.unit, gold.unit)
    if answer.is_words and gold.is_words:
        return same_letters(answer.text, gold.text)
    if answer.is_words or gold.is_words:
        words, formula = (answer, gold) if answer.is_words else (gold, answer)
        if (number := as_number(words.text)) is not None:
            spelled = Scalar(number, number)
            return _quantities(spelled, gold, percent) if words is answer else _quantities(answer, spelled, percent)
        if not is_product(words.text):
            if formula.unit.nouns or (re.search(r"\d", words.text) and not re.search(r"\bnot\b", words.text)):
                return None
            return None if formula.expression is None or isinstance(formula.expression, Set) else False
    return _quantities(answer, gold, percent)


def _is_time(clock: Scalar) -> bool:
    """Whether `h:mm` is a time and no ratio: with AM or PM, or at the full hour."""
    return bool(clock.unit.measure) or clock.bare.endswith(":00")


def _quantities(answer: Scalar, gold: Scalar, percent: Percent) -> bool | None:
    """Whether two numbers or formulas with their units are the same: `0.5\\text{ km}` is `500\\text{ m}`.

    Where only one has a percent sign, the number before it may stand for itself or for its hundredth.
    """
    one, other = answer.expression, gold.expression
    if one is None or other is None:
        return None
    if is_compound(answer.bare) or is_compound(gold.bare):
        return None
    measure = same_measure(answer.unit, gold.unit)
    if (factor := _to_radians(answer, gold)) is not None and same_object(Mul(one, factor, evaluate=False), other):
        return True
    if measure is False:
        return False
    if (answer.unit.is_percent and gold.unit.measure) or (gold.unit.is_percent and answer.unit.measure):
        return False
    differ = answer.unit.is_percent != gold.unit.is_percent
    if differ and percent == "strict":
        return False
    convertible = answer.unit.measure == gold.unit.measure
    left = answer.unit.magnitude * (answer.unit.size if convertible else 1)
    right = gold.unit.magnitude * (gold.unit.size if convertible else 1)
    found = same_object(_times(one, left), _times(other, right))
    if differ and not found:
        left, right = (left / 100, right) if answer.unit.is_percent else (left, right / 100)
        found = same_object(_times(one, left), _times(other, right))
    if found and not same_capitals(answer.bare, gold.bare):
        return None
    if found is False and bare_letter_unit(answer.text) and not getattr(other, "free_symbols", None):
        return None
    return None if found and measure is None else found


def _to_radians(answer: Scalar, gold: Scalar) -> Any:
    """What to multiply the answer by where one is an angle in degrees and the other may be one in radians, a multiple of π;
    None for others."""
    kinds = [side.unit.measure for side in (answer, gold)]
    if _DEGREES not in kinds or not all(kind in (_DEGREES, _RADIANS, ()) for kind in kinds) or kinds[0] == kinds[1]:
        return None
    if "\\pi" not in (gold if kinds[0] == _DEGREES else answer).bare:
        return None
    size = Rational(answer.unit.size.numerator, answer.unit.size.denominator)
    return size * pi / 180 if kinds[0] == _DEGREES else 180 / pi


def _on_one_clock(time: Scalar) -> tuple[int, int] | None:
    """Hour and minute of a time that is said to be before or after noon, or that is later than 12; None for others."""
    found = re.fullmatch(r"(\d{1,2})(?::(\d\d))?", time.bare)
    if found is None:
        return None
    hour, minute = int(found[1]), int(found[2] or 0)
    half = time.unit.measure[0][0] if time.unit.measure else ""
    if half.startswith("clock") and 1 <= hour <= 12:
        return hour % 12 + 12 * (half == "clock after noon"), minute
    return (hour, minute) if not half and found[2] is not None and 12 < hour < 24 else None


def _times(expression: Any, factor: Fraction) -> Any:
    """The expression times a factor, unevaluated; sets and relations have none."""
    if factor == 1 or not isinstance(expression, Expr):
        return expression
    return Mul(Rational(factor.numerator, factor.denominator), expression, evaluate=False)
