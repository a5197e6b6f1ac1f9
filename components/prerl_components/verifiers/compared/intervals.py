"""Inequalities in one variable as sets: `2 < x \\le 5` is the interval (2, 5], `x < 2` or `x > 5` a union of two."""

import re
from collections.abc import Sequence
from typing import Any

from latex2sympy2_extended.logic import And
from sympy import (
    Abs,
    Eq,
    FiniteSet,
    GreaterThan,
    Intersection,
    Interval,
    LessThan,
    Ne,
    S,
    Set,
    StrictGreaterThan,
    StrictLessThan,
    Union,
    oo,
)

_MEMBERSHIP = re.compile(r"[A-Za-z](?:_\{?\w\}?)?\s*\\in(?![A-Za-z])\s*(?P<set>.+)", re.DOTALL)
_BUILDER = re.compile(
    r"\\\{\s*(?P<name>[A-Za-z])\s*(?:\\in\s*(?:\\mathbb\s*\{?R\}?|\\R(?![a-z]))\s*)?(?:\\mid(?![a-z])|:|\||\\vert(?![a-z]))\s*(?P<condition>.*[<>=\\].*)\\\}",
    re.DOTALL,
)
_FLIPPED = {
    LessThan: GreaterThan,
    GreaterThan: LessThan,
    StrictLessThan: StrictGreaterThan,
    StrictGreaterThan: StrictLessThan,
}
_OUTWARD = re.compile(r"(?P<left>[\[\](])(?P<inside>[^\[\]()]+,[^\[\]()]+)(?P<right>[\[\])])")


def facing_inward(text: str) -> str:
    """Intervals in the usual brackets: `]2,5[` is `(2,5)`."""
    if not re.search(r"(?:^|\\cup|=|\\in)\s*\]|\[\s*(?:$|\\cup)", text):
        return text
    return _OUTWARD.sub(_inward, text)


def members(text: str) -> str:
    """The set of `x \\in S`, the condition of `\\{x : x > 2\\}`; the text itself without such a sign."""
    if (found := _MEMBERSHIP.fullmatch(text)) is not None:
        text = found["set"]
    built = _BUILDER.fullmatch(text)
    return built["condition"].strip() if built else text


def solution_set(relation: Any) -> Set | None:
    """The real numbers that an inequality between one variable and numbers admits; None for any other."""
    if isinstance(relation, And):
        parts = [solution_set(part) for part in relation._unsorted_args]
        symbols = relation.free_symbols
        known = [part for part in parts if part is not None]
        return Intersection(*known) if len(symbols) == 1 and len(known) == len(parts) else None
    if not isinstance(relation, (LessThan, GreaterThan, StrictLessThan, StrictGreaterThan, Ne, Eq)):
        return None
    left, right, sign = relation.lhs, relation.rhs, type(relation)
    if right.is_Symbol and left.is_number:
        left, right, sign = right, left, _FLIPPED.get(sign, sign)
    if isinstance(left, Abs) and right.is_number and right.is_positive:
        return _around(left.args[0], right, sign)
    if not left.is_Symbol or not right.is_number or right.is_extended_real is False:
        return None
    if sign in (LessThan, StrictLessThan):
        return Interval(-oo, right, True, sign is StrictLessThan)
    if sign in (GreaterThan, StrictGreaterThan):
        return Interval(right, oo, sign is StrictGreaterThan, True)
    return FiniteSet(right) if isinstance(relation, Eq) else S.Reals - FiniteSet(right)


def _around(centred: Any, radius: Any, sign: Any) -> Set | None:
    """The numbers nearer or farther than the radius, `|x - 3| < 2`; None for more than a variable and a number."""
    (variable, *more), shift = centred.free_symbols, centred.subs(dict.fromkeys(centred.free_symbols, 0))
    if more or centred - shift != variable:
        return None
    if sign in (LessThan, StrictLessThan):
        is_open = sign is StrictLessThan
        return Interval(-radius - shift, radius - shift, is_open, is_open)
    if sign in (GreaterThan, StrictGreaterThan):
        is_open = sign is StrictGreaterThan
        below, above = Interval(-oo, -radius - shift, True, is_open), Interval(radius - shift, oo, is_open, True)
        return Union(below, above)
    return None


def joined(relations: Sequence[Any], joint: str) -> Set | None:
    """The set of several inequalities: the union under `or`, and where no number fulfils them all; else what all admit."""
    sets = [solution_set(relation) for relation in relations]
    known = [each for each in sets if each is not None]
    if len(known) != len(sets) or len({symbol for relation in relations for symbol in relation.free_symbols}) != 1:
        return None
    common = Intersection(*known)
    return Union(*known) if joint == "or" or common is S.EmptySet else common


def _inward(interval: re.Match[str]) -> str:
    left = "(" if interval["left"] == "]" else interval["left"]
    right = ")" if interval["right"] == "[" else interval["right"]
    return f"{left}{interval['inside']}{right}"
