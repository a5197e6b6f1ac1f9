"""Whether one expression says what another says: in its base, its letters, its unit, its percent sign, its value."""

from fractions import Fraction
from typing import Any, Literal, TypeAlias

from sympy import Expr, Mul, Rational, Set

from prerl_components.verifiers.compared.expressions import same_object
from prerl_components.verifiers.compared.ratios import same_ratio, terms
from prerl_components.verifiers.compared.reading import Scalar
from prerl_components.verifiers.written.bases import digits_alone, same_digits
from prerl_components.verifiers.written.letters import as_number, is_product, same_capitals, same_letters, same_time
from prerl_components.verifiers.written.units import bare_letter_unit, is_compound, same_measure

Percent: TypeAlias = Literal["number", "strict"]
"""Whether a percent sign may be missing on one side; see `docs/verdicts.md`."""


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
    if (same := same_time(answer.bare, gold.bare)) is not None and (same or _is_time(answer) or _is_time(gold)):
        return same and same_measure(answer.unit, gold.unit)
    if answer.is_words and gold.is_words:
        return same_letters(answer.text, gold.text)
    if answer.is_words or gold.is_words:
        words, formula = (answer, gold) if answer.is_words else (gold, answer)
        if (number := as_number(words.text)) is not None:
            spelled = Scalar(str(number), str(number))
            return _quantities(spelled, gold, percent) if words is answer else _quantities(answer, spelled, percent)
        if not is_product(words.text):
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


def _times(expression: Any, factor: Fraction) -> Any:
    """The expression times a factor, unevaluated; sets and relations have none."""
    if factor == 1 or not isinstance(expression, Expr):
        return expression
    return Mul(Rational(factor.numerator, factor.denominator), expression, evaluate=False)
