"""Whether an answer says what the gold answer says, piece by piece: True, False, or None where it cannot be decided."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from sympy import Expr, MatrixBase

from prerl_components.verifiers.compared.expressions import by_math_verify, same_object
from prerl_components.verifiers.compared.intervals import joined
from prerl_components.verifiers.compared.parsing import parsed
from prerl_components.verifiers.compared.reading import Equation, Grouped, Listed, Piece, Scalar
from prerl_components.verifiers.compared.scalars import Percent, same_scalar
from prerl_components.verifiers.written.names import is_name

_SPACES = re.compile(r"(?<!\d)\s+|\s+(?!\d)")

_LETTER = re.compile(r"[A-Za-z]")
_FUNCTION = re.compile(r"[A-Za-z]\([a-z]\)")


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
        return same_scalar(answer, gold, percent)
    group, single = (answer, gold) if isinstance(answer, Grouped) else (gold, answer)
    if isinstance(single, Scalar) and single.is_words:
        return None
    if isinstance(group, Grouped) and group.is_set and isinstance(parsed(single.text), Expr):
        return False
    if isinstance(group, Grouped) and not group.is_set and _is_vector(single.text, group.elements):
        return None
    return _objects(answer.text, gold.text)


def _is_vector(text: str, elements: Sequence[Piece]) -> bool:
    """Whether the text is a row or a column of these elements: it may be what the tuple of them means."""
    matrix = parsed(text)
    if not isinstance(matrix, MatrixBase) or 1 not in matrix.shape or len(matrix) != len(elements):
        return False
    entries = [parsed(element.text) for element in elements]
    return all(one is not None and same_object(one, entry) for one, entry in zip(entries, matrix.flat(), strict=True))


def _equations(answer: Piece, gold: Piece, percent: Percent) -> bool | None:
    if isinstance(answer, Equation) and isinstance(gold, Equation):
        if len(answer.sides) == len(gold.sides):
            for sides in (answer.sides, answer.sides[::-1]):
                if _all(agree(one, other, percent) for one, other in zip(sides, gold.sides, strict=True)):
                    return True
        if _name_one_function(answer, gold):
            return agree(answer.sides[1], gold.sides[1], percent)
        one, other = parsed(answer.text), parsed(gold.text)
        return None if one is None or other is None else by_math_verify(one, other)
    if isinstance(answer, Equation):
        return _claims(answer, gold, percent)
    if isinstance(gold, Equation):
        if not any(is_name(side.text) for side in gold.sides):
            return False if not isinstance(answer, Scalar) else _objects(answer.text, gold.text)
        return _any(agree(answer, value, percent) for value in gold.values or gold.sides[-1:])
    return None


def _name_one_function(answer: Equation, gold: Equation) -> bool:
    """Whether the first sides are `f(x)` and `y`, or `P(x)` and `p(x)`."""
    names = [equation.sides[0].text.replace(" ", "") for equation in (answer, gold)]
    if any(len(equation.sides) != 2 for equation in (answer, gold)):
        return False
    functions = [name for name in names if _FUNCTION.fullmatch(name)]
    return len({name.lower() for name in functions}) == 1 and all(
        name == "y" for name in names if name not in functions
    )


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
        if isinstance(answer, Listed) and (by_name := _by_name(answer.elements)) is not None:
            named = _in_order(by_name, other.elements, percent)
            return None if not named and _in_order(bare.elements, other.elements, percent) else named
        found = _in_order(bare.elements, other.elements, percent)
        return found if found else _joined(answer, gold, found)
    if (union := _union(bare)) is not None and "\\cup" in other.text and _objects(union, other.text):
        return True if bare is answer else None
    if bare.joint in ("sign", "or") and _all(agree(element, other, percent) for element in bare.elements):
        return True
    return _joined(answer, gold, False)


def _by_name(elements: Sequence[Piece]) -> Sequence[Piece] | None:
    """Equations such as `y=4, x=3` in the order of their letters; None where they are in it, or are none."""
    if not all(isinstance(each, Equation) and _LETTER.fullmatch(each.sides[0].text) for each in elements):
        return None
    ordered = sorted(elements, key=lambda each: each.text[0])
    return None if ordered == list(elements) else ordered


def _union(listed: Listed) -> str | None:
    """The union of the intervals that are listed; None where an element may be none."""
    if not all(isinstance(each, Grouped) and len(each.elements) == 2 and not each.is_set for each in listed.elements):
        return None
    return " \\cup ".join(each.text for each in listed.elements)


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
    return len(answer) == len(gold) and _all(
        agree(one, other, percent) for one, other in zip(answer, gold, strict=True)
    )


def _as_sets(answer: Sequence[Piece], gold: Sequence[Piece], percent: Percent) -> bool | None:
    """Whether each element of either is one of the other: False if any is not, also beside one that is undecided."""
    verdicts = [[agree(one, other, percent) for other in gold] for one in answer]
    found = [_any(row[place] for row in verdicts) for place in range(len(gold))]
    return _all([*map(_any, verdicts), *found])


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


def _objects(answer: str, gold: str) -> bool | None:
    one, other = parsed(answer), parsed(gold)
    return None if one is None or other is None else same_object(one, other)


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
