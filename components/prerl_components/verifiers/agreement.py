"""Whether an answer says what the gold answer says, piece by piece: True, False, or None where it cannot be decided."""

import re
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any, Literal, TypeAlias

from sympy import Expr, Mul, Rational, Set

from prerl_components.verifiers.bases import digits_alone, same_digits
from prerl_components.verifiers.expressions import by_math_verify, same_object
from prerl_components.verifiers.intervals import joined
from prerl_components.verifiers.letters import as_number, is_product, same_capitals, same_letters, same_time
from prerl_components.verifiers.names import is_name
from prerl_components.verifiers.parsing import parsed
from prerl_components.verifiers.ratios import same_ratio, terms
from prerl_components.verifiers.reading import Equation, Grouped, Listed, Piece, Scalar
from prerl_components.verifiers.units import bare_letter_unit, is_compound, same_measure

_SPACES = re.compile(r"(?<!\d)\s+|\s+(?!\d)")

Percent: TypeAlias = Literal["number", "strict"]


def agree(answer: Piece, gold: Piece, percent: Percent) -> bool | None:
    """Whether the answer is the gold answer."""
    if _SPACES.sub("", answer.text) == _SPACES.sub("", gold.text):
        return True
    if isinstance(answer, Equation) or isinstance(gold, Equation):
        return _equations(answer, gold, percent)
    if isinstance(answer, Listed) or isinstance(gold, Listed):
        return _lists(answer, gold, percent)
    if isinstance(answer, Grouped) and isinstance(gold, Grouped):
        return _groups(answer, gold, percent)
    if isinstance(answer, Scalar) and isinstance(gold, Scalar):
        return _scalars(answer, gold, percent)
    group, single = (answer, gold) if isinstance(answer, Grouped) else (gold, answer)
    if isinstance(single, Scalar) and single.is_words:
        return None
    if isinstance(group, Grouped) and group.is_set and isinstance(parsed(single.text), Expr):
        return False
    return _objects(answer.text, gold.text)


def _equations(answer: Piece, gold: Piece, percent: Percent) -> bool | None:
    if isinstance(answer, Equation) and isinstance(gold, Equation):
        if len(answer.sides) == len(gold.sides):
            for sides in (answer.sides, answer.sides[::-1]):
                if _all(agree(one, other, percent) for one, other in zip(sides, gold.sides, strict=True)):
                    return True
        one, other = parsed(answer.text), parsed(gold.text)
        return None if one is None or other is None else by_math_verify(one, other)
    if isinstance(answer, Equation):
        return _claims(answer, gold, percent)
    if isinstance(gold, Equation):
        if not any(is_name(side.text) for side in gold.sides):
            return False if not isinstance(answer, Scalar) else _objects(answer.text, gold.text)
        return _any(agree(answer, value, percent) for value in gold.values or gold.sides[-1:])
    return None


def _claims(answer: Equation, gold: Piece, percent: Percent) -> bool | None:
    """An equation answers a gold answer that is none if each of its sides is that or only a name for it.

    `2x = 7` and `x^2 = 7` are about another number than 7. `a + b = 7` may be or not: the question may ask for a + b.
    """
    found = [(side, agree(side, gold, percent)) for side in answer.values or answer.sides]
    if not any(same for _, same in found):
        return None if any(same is None for _, same in found) else False
    others = [parsed(side.text) for side, same in found if not same]
    if not others:
        return True
    return None if all(other is not None and len(_symbols(other)) > 1 for other in others) else False


def _lists(answer: Piece, gold: Piece, percent: Percent) -> bool | None:
    """A list without brackets has no order but keeps multiplicity; beside a set it is one, an answer beside a tuple one."""
    if isinstance(answer, Listed) and isinstance(gold, Listed):
        found = _matched(answer.elements, gold.elements, percent)
        return found if found else _joined(answer, gold, found)
    bare, other = (answer, gold) if isinstance(answer, Listed) else (gold, answer)
    assert isinstance(bare, Listed)
    if isinstance(other, Grouped):
        if other.is_set:
            return _as_sets(bare.elements, other.elements, percent)
        if len(other.elements) == 2 and other.opening + other.closing != "()":
            return _joined(answer, gold, None if other.opening + other.closing == "[]" else False)
        if isinstance(gold, Listed):
            return _matched(answer.elements, gold.elements, percent) if isinstance(answer, Grouped) else None
        found = _in_order(bare.elements, other.elements, percent)
        return found if found else _joined(answer, gold, found)
    if bare.joint in ("sign", "or") and _all(agree(element, other, percent) for element in bare.elements):
        return True
    return _joined(answer, gold, False)


def _joined(answer: Piece, gold: Piece, otherwise: bool | None) -> bool | None:
    """The comparison of lists of inequalities as sets of numbers; `otherwise` where either is no such set."""
    one, other = _number_set(answer), _number_set(gold)
    return otherwise if one is None or other is None else same_object(one, other)


def _number_set(piece: Piece) -> Any:
    if not isinstance(piece, Listed):
        return parsed(piece.text)
    found = [parsed(element.text) for element in piece.elements]
    return None if any(each is None for each in found) else joined(found, piece.joint)


def _groups(answer: Grouped, gold: Grouped, percent: Percent) -> bool | None:
    if answer.is_set or gold.is_set:
        return _as_sets(answer.elements, gold.elements, percent) if answer.is_set and gold.is_set else False
    if len(gold.elements) == 2 and (answer.opening, answer.closing) != (gold.opening, gold.closing):
        return False
    return _in_order(answer.elements, gold.elements, percent)


def _in_order(answer: Sequence[Piece], gold: Sequence[Piece], percent: Percent) -> bool | None:
    return len(answer) == len(gold) and _all(agree(one, other, percent) for one, other in zip(answer, gold, strict=True))


def _as_sets(answer: Sequence[Piece], gold: Sequence[Piece], percent: Percent) -> bool | None:
    within = _all(_any(agree(one, other, percent) for other in gold) for one in answer)
    return within and _all(_any(agree(one, other, percent) for one in answer) for other in gold)


def _matched(answer: Sequence[Piece], gold: Sequence[Piece], percent: Percent) -> bool | None:
    """Whether the two hold the same elements equally often, in any order; a tuple named twice is one solution."""
    if all(isinstance(element, Grouped) for element in (*answer, *gold)):
        return _as_sets(answer, gold, percent)
    if len(answer) != len(gold):
        return False
    left, undecided = list(answer), False
    for wanted in gold:
        verdicts = [agree(one, wanted, percent) for one in left]
        if True in verdicts:
            left.pop(verdicts.index(True))
        elif None in verdicts:
            undecided = True
        else:
            return False
    return None if undecided else True


def _scalars(answer: Scalar, gold: Scalar, percent: Percent) -> bool | None:
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
            return _quantities(*(Scalar(str(number), str(number)) if each is words else each for each in (answer, gold)), percent)
        if not is_product(words.text):
            return None if formula.expression is None or isinstance(formula.expression, Set) else False
    return _quantities(answer, gold, percent)


def _is_time(clock: Scalar) -> bool:
    """Whether `h:mm` is a time and no ratio: with AM or PM, or at the full hour."""
    return bool(clock.unit.measure) or clock.bare.endswith(":00")


def _quantities(answer: Scalar, gold: Scalar, percent: Percent) -> bool | None:
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
    both = bool(answer.unit.measure and gold.unit.measure)
    left = answer.unit.magnitude * (answer.unit.size if both else 1)
    right = gold.unit.magnitude * (gold.unit.size if both else 1)
    found = same_object(_times(one, left), _times(other, right))
    if answer.unit.is_percent != gold.unit.is_percent and not found:
        if percent == "strict":
            return False
        hundredth = Fraction(1, 100)
        left, right = (left * hundredth, right) if answer.unit.is_percent else (left, right * hundredth)
        found = same_object(_times(one, left), _times(other, right))
    elif answer.unit.is_percent != gold.unit.is_percent and percent == "strict":
        return False
    if found and not same_capitals(answer.bare, gold.bare):
        return None
    if found is False and bare_letter_unit(answer.text) and not _symbols(other):
        return None
    return None if found and measure is None else found


def _objects(answer: str, gold: str) -> bool | None:
    one, other = parsed(answer), parsed(gold)
    return None if one is None or other is None else same_object(one, other)


def _times(expression: Any, factor: Fraction) -> Any:
    if factor == 1 or not isinstance(expression, Expr):
        return expression
    return Mul(Rational(factor.numerator, factor.denominator), expression, evaluate=False)


def _symbols(expression: Any) -> Any:
    return getattr(expression, "free_symbols", set())


def _all(verdicts: Iterable[bool | None]) -> bool | None:
    """True if all are, False if any is, None otherwise."""
    found = list(verdicts)
    return False if False in found else None if None in found else True


def _any(verdicts: Iterable[bool | None]) -> bool | None:
    """True if any is, None if any is undecided, False otherwise."""
    found = list(verdicts)
    return True if True in found else None if None in found else False
