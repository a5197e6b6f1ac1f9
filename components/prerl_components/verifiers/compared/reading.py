"""An answer taken apart: a scalar with its unit, the elements of a list or of brackets, the sides of an equation."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from prerl_components.verifiers.compared.intervals import facing_inward, members
from prerl_components.verifiers.compared.parsing import parsed
from prerl_components.verifiers.gate import refusal
from prerl_components.verifiers.written.answer_text import plain_text
from prerl_components.verifiers.written.bases import Based, based
from prerl_components.verifiers.written.letters import is_words
from prerl_components.verifiers.written.names import is_name
from prerl_components.verifiers.written.numerals import numerals
from prerl_components.verifiers.written.pieces import enclosed, is_relation, listed, sides, signed
from prerl_components.verifiers.written.units import NO_UNIT, Unit, split_unit

_CHOICES = re.compile(r"\\text\{\s*([A-Za-z0-9](?:\s*(?:,\s*and|,|and|or)\s*[A-Za-z0-9])+)\s*\}")
_LEADING_SIGN = re.compile(r"^(?:\\approx|\\therefore|\\implies|\\Rightarrow|=|:|\\sim)\s*(?=.)")


@dataclass(frozen=True)
class Scalar:
    """A single expression; `bare` is its text without the unit."""

    text: str
    bare: str
    unit: Unit = NO_UNIT

    @property
    def is_words(self) -> bool:
        return self.bare == self.text and is_words(self.text)

    @property
    def in_base(self) -> Based | None:
        return based(self.text)

    @property
    def expression(self) -> Any:
        return parsed(self.bare)


@dataclass(frozen=True)
class Listed:
    """Elements without brackets, and what joins them: `comma`, `and`, `or`, or the `sign` of `\\pm`."""

    text: str
    elements: tuple["Piece", ...]
    joint: str


@dataclass(frozen=True)
class Grouped:
    """Elements in brackets: a set in braces, a tuple, or the ends of an interval."""

    text: str
    opening: str
    elements: tuple["Piece", ...]
    closing: str

    @property
    def is_set(self) -> bool:
        return self.opening == "{"


@dataclass(frozen=True)
class Equation:
    """The sides of `a = b = …`."""

    text: str
    sides: tuple["Piece", ...]

    @property
    def values(self) -> tuple["Piece", ...]:
        """The sides that are more than a name."""
        return tuple(side for side in self.sides if not is_name(side.text))


Piece: TypeAlias = Scalar | Listed | Grouped | Equation


@lru_cache(maxsize=8192)
def read(text: str) -> Piece | None:
    """The pieces of an answer or a gold answer; None if it is over a limit once its numbers are spelled out."""
    plain = facing_inward(numerals(_CHOICES.sub(r"\1", plain_text(text))))
    plain = _LEADING_SIGN.sub("", plain)
    if plain != text and refusal(plain) is not None:
        return None
    return _piece(plain)


def is_readable(piece: Piece) -> bool:
    """Whether each part of the answer is words, or parses."""
    if isinstance(piece, Scalar):
        return piece.is_words or piece.in_base is not None or piece.expression is not None
    if isinstance(piece, Equation):
        return all(is_name(side.text) or is_readable(side) for side in piece.sides) or parsed(piece.text) is not None
    return all(is_readable(element) for element in piece.elements)


def _piece(text: str) -> Piece:
    elements, joint = listed(text)
    if len(elements) > 1:
        pieces = tuple(_piece(one) for element in elements for one in signed(element))
        return Listed(text, pieces, joint)
    text = elements[0].strip()
    if len(both := signed(text)) > 1:
        return Listed(text, tuple(_piece(one) for one in both), "sign")
    text = members(text)
    if not is_relation(text) and len(found := sides(text)) > 1:
        if "\\approx" in text and len(found) == 2 and not is_name(found[0]):
            return _piece(found[0])
        return Equation(text, tuple(_piece(side) for side in found))
    brackets = enclosed(text)
    if brackets is not None and brackets.content:
        inside, _ = listed(brackets.content)
        if len(inside) > 1 or brackets.opening == "{":
            return Grouped(
                text, brackets.opening, tuple(_piece(one) for each in inside for one in signed(each)), brackets.closing
            )
        if not is_relation(inside[0]) and len(sides(inside[0])) == 1:
            return _piece(inside[0])
    if is_relation(text):
        return Scalar(text, text)
    return Scalar(text, *split_unit(text)) if based(text) is None else Scalar(text, text)
