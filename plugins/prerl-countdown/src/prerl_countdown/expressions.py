"""A small parser that evaluates arithmetic expressions in exact fractions; nothing is ever executed as code.

expression = term (("+" | "-") term)*      term = factor (("*" | "/") factor)*      factor = number | "(" expression ")"

There is no unary minus: a game's numbers are positive, and −3 would use a number that was not dealt.
"""

from dataclasses import dataclass
from fractions import Fraction

MAX_CHARACTERS = 200
MAX_NESTING = 32
MAX_DIGITS = 9
"""Digits of one number: with MAX_CHARACTERS this bounds numerators and denominators, so that evaluation is fast."""

_SAME = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "[": "(", "]": ")"})


class Unreadable(Exception):
    """The reason why a text is not an expression: "a number or a bracket is missing at character 4"."""


@dataclass(frozen=True)
class Worked:
    """An evaluated expression: its exact value (None on division by zero) and its numbers, in order."""

    value: Fraction | None
    numbers: tuple[int, ...]


def work_out(text: str) -> Worked:
    """`work_out("(1+2)*3")` is `Worked(Fraction(9), (1, 2, 3))`. Raises Unreadable."""
    if len(text) > MAX_CHARACTERS:
        raise Unreadable(f"{len(text)} characters, more than {MAX_CHARACTERS}")
    reader = _Reader(text.translate(_SAME))
    value = reader.expression(0)
    if reader.next:
        raise Unreadable(f"unexpected {reader.next!r} at character {reader.place + 1}")
    return Worked(value, tuple(reader.numbers))


class _Reader:
    """A recursive-descent parser; a value is None after a division by zero."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.place = 0
        self.numbers: list[int] = []

    @property
    def next(self) -> str:
        """The next character after whitespace; empty at the end."""
        while self._text[self.place : self.place + 1].isspace():
            self.place += 1
        return self._text[self.place : self.place + 1]

    def expression(self, depth: int) -> Fraction | None:
        value = self._term(depth)
        while (sign := self.next) and sign in "+-":
            self.place += 1
            value = _applied(sign, value, self._term(depth))
        return value

    def _term(self, depth: int) -> Fraction | None:
        value = self._factor(depth)
        while (sign := self.next) and sign in "*/":
            self.place += 1
            value = _applied(sign, value, self._factor(depth))
        return value

    def _factor(self, depth: int) -> Fraction | None:
        if self.next == "(":
            if depth == MAX_NESTING:
                raise Unreadable(f"brackets nested deeper than {MAX_NESTING}")
            opened = self.place
            self.place += 1
            value = self.expression(depth + 1)
            if self.next != ")":
                raise Unreadable(f"the bracket at character {opened + 1} is not closed")
            self.place += 1
            return value
        return Fraction(self._number())

    def _number(self) -> int:
        start = self.place if self.next else len(self._text)
        while self._text[self.place : self.place + 1] in set("0123456789"):
            self.place += 1
        digits = self._text[start : self.place]
        if not digits:
            raise Unreadable(f"a number or a bracket is missing at character {start + 1}")
        if len(digits) > MAX_DIGITS:
            raise Unreadable(f"a number of more than {MAX_DIGITS} digits")
        self.numbers.append(int(digits))
        return self.numbers[-1]


def _applied(sign: str, left: Fraction | None, right: Fraction | None) -> Fraction | None:
    if left is None or right is None:
        return None
    match sign:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case _:
            return None if right == 0 else left / right
