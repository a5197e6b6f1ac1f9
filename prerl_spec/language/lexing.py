"""The words of TOML with their places: keys, strings and numbers. tomllib says what a word is worth; this says where it stands.

Left out: the grammar of tables and statements, which is `toml.py`.
"""

import re
import tomllib
from bisect import bisect_right
from typing import Any

from prerl_spec.codes import Code
from prerl_spec.errors import Span

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
WORD = re.compile(r"[A-Za-z0-9_+.:-]+")
BLANK = re.compile(r"[ \t]*")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_HEX, _SURROGATE = "[0-9A-Fa-f]", "[Dd][89A-Fa-f]"
_ESCAPE = re.compile(rf'\\(?:[btnfr"\\]|u(?!{_SURROGATE}){_HEX}{{4}}|U00(?!00{_SURROGATE})(?:0{_HEX}|10){_HEX}{{4}})')
"""Surrogates are no characters, and none lies above 10FFFF."""
_LINE_FOLD = re.compile(r"\\[ \t]*\r?\n")
_NUMBER_LIKE = re.compile(r"[+-]?\.?\d|[+-]|\.")
_DATE_LIKE = re.compile(r"\d{4}-\d{2}|\d{2}:\d{2}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}[ ]\d{2}:\d{2}")


DEEPEST = 64
"""Levels of nesting and segments of a key that are read; no spec comes near."""


class Fault(Exception):
    """A syntax error at text[start:end]; `suggestion` may take its place. `resume` is where reading can go on, None
    where that must be searched for."""

    def __init__(
        self, code: Code, start: int, end: int, message: str, caret: str = "", suggestion: str | None = None
    ) -> None:
        super().__init__(message)
        self.code, self.start, self.end = code, start, end
        self.message, self.caret, self.suggestion = message, caret, suggestion
        self.resume: int | None = None


class Lexer:
    """A cursor over a text; every method that reads a word moves `at` behind it or raises Fault."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.at = 0
        self.is_too_deep = False
        self._starts = [0, *(m.end() for m in re.finditer("\n", text))]

    def span(self, start: int, end: int) -> Span:
        """The place of text[start:end], 1-based, in code points."""
        line = bisect_right(self._starts, start)
        end_line = bisect_right(self._starts, max(end - 1, start))
        return Span(self.file, line, start - self._starts[line - 1] + 1, end_line, end - self._starts[end_line - 1] + 1)

    @property
    def char(self) -> str:
        """The next character, "" at the end."""
        return self.text[self.at : self.at + 1]

    @property
    def at_line_end(self) -> bool:
        return self.at >= len(self.text) or self.char == "\n" or self.text.startswith("\r\n", self.at)

    def next_line(self, start: int) -> int:
        """Where the line after text[start] begins."""
        newline = self.text.find("\n", start)
        return len(self.text) if newline < 0 else newline + 1

    def skip_blank(self) -> None:
        match = BLANK.match(self.text, self.at)
        assert match is not None, "a pattern that may be empty always matches"
        self.at = match.end()

    def skip_comment(self) -> None:
        """Over a comment, up to the line's end. Raises Fault at a control character."""
        if self.char != "#":
            return
        end = self.next_line(self.at)
        end -= self.text[self.at : end].endswith("\n")
        end -= self.text[self.at : end].endswith("\r")
        if control := _CONTROL.search(self.text, self.at, end):
            raise self.unexpected(control.start(), "control characters do not belong in a comment")
        self.at = end

    def unexpected(self, where: int, caret: str = "") -> Fault:
        """The fault of a character that cannot stand where it does."""
        char = self.text[where : where + 1]
        if char in ("", "\n") or self.text.startswith("\r\n", where):
            return Fault(Code.TOML_SYNTAX, where, where + 1, "the line ends too early", caret)
        shown = f"`{char}`" if char.isprintable() else f"U+{ord(char):04X}"
        return Fault(Code.TOML_SYNTAX, where, where + 1, f"unexpected {shown}", caret)

    def too_deep(self, where: int) -> Fault:
        """The fault of nesting that no spec has."""
        self.is_too_deep = True
        return Fault(Code.TOML_SYNTAX, where, where + 1, f"nested more than {DEEPEST} levels deep")

    def key(self) -> tuple[str, Span]:
        """One segment of a key, bare or quoted."""
        start = self.at
        if self.char in ('"', "'"):
            if self.text.startswith((self.char * 3), self.at):
                raise self.unexpected(self.at + 2, "a key is not a multi-line string")
            value = self.string()
            return value, self.span(start, self.at)
        match = BARE_KEY.match(self.text, self.at)
        if match is None:
            raise self.unexpected(self.at, "a key belongs here")
        self.at = match.end()
        return match.group(), self.span(start, self.at)

    def dotted_key(self) -> list[tuple[str, Span]]:
        """Segments of `a."b".c`."""
        segments = [self.key()]
        while True:
            self.skip_blank()
            if self.char != ".":
                return segments
            self.at += 1
            self.skip_blank()
            if len(segments) == DEEPEST:
                raise self.too_deep(self.at)
            segments.append(self.key())

    def string(self) -> str:
        """A quoted string of any of the four kinds, decoded."""
        start, quote = self.at, self.char
        fence = quote * 3 if self.text.startswith(quote * 3, self.at) else quote
        self.at += len(fence)
        while not self.text.startswith(fence, self.at):
            ends = self.at >= len(self.text) if len(fence) == 3 else self.at_line_end
            if ends:
                end = self.next_line(start)
                end -= self.text[start:end].endswith("\n")
                raise Fault(
                    Code.UNCLOSED, start, max(start + len(fence), end), "this string is not closed", f"no {fence}"
                )
            self._string_char(quote, fence)
        self.at += len(fence)
        if len(fence) == 3:  # up to two quotes may stand directly before the closing three
            for _ in range(2):
                self.at += self.char == quote
        return str(self._worth(start))

    def _string_char(self, quote: str, fence: str) -> None:
        if quote == '"' and self.char == "\\":
            match = _ESCAPE.match(self.text, self.at)
            if match is None and len(fence) == 3:
                match = _LINE_FOLD.match(self.text, self.at)
            if match is None:
                raise Fault(
                    Code.TOML_SYNTAX,
                    self.at,
                    self.at + 2,
                    f"`{self.text[self.at : self.at + 2].strip()}` is not an escape",
                    "write `\\\\` for a backslash, or use single quotes",
                )
            self.at = match.end()
            return
        if _CONTROL.match(self.char) and not self.text.startswith("\r\n", self.at):
            raise self.unexpected(self.at, "control characters are written as escapes")
        self.at += 1

    def word(self) -> Any:
        """A number, truth value or date. Raises Fault E0105 for null, E0106 for a malformed number, E0101 else."""
        start = self.at
        match = (_DATE.match(self.text, start) and re.compile(r"[0-9: .+Z-]+").match(self.text, start)) or WORD.match(
            self.text, start
        )
        if match is None:
            raise self.unexpected(start, "a value belongs here")
        word = match.group().rstrip()
        self.at = start + len(word)
        try:
            return self._worth(start)
        except tomllib.TOMLDecodeError:
            pass
        if word.casefold() in ("null", "none", "nil"):
            raise Fault(
                Code.NULL_VALUE,
                start,
                self.at,
                f"TOML has no `{word}`",
                "leave the key out, or write what it should be",
            )
        if _NUMBER_LIKE.match(word) and not _DATE_LIKE.match(word):
            raise Fault(Code.MALFORMED_NUMBER, start, self.at, f"`{word}` is not a number", _number_hint(word))
        if word.lower() in ("true", "false"):
            raise Fault(
                Code.TOML_SYNTAX, start, self.at, f"unexpected `{word}`", f"write `{word.lower()}`", word.lower()
            )
        if _DATE_LIKE.match(word):
            raise Fault(Code.TOML_SYNTAX, start, self.at, f"`{word}` is not a date or time")
        raise Fault(Code.TOML_SYNTAX, start, self.at, f"unexpected `{word}`", "a text stands in quotes", f'"{word}"')

    def _worth(self, start: int) -> Any:
        raw = self.text[start : self.at]
        try:
            return tomllib.loads(f"v = {raw}")["v"]
        except ValueError as error:
            if isinstance(error, tomllib.TOMLDecodeError):
                raise
            # Integers of thousands of digits and dates that no calendar has are ValueErrors of Python's own.
            raise Fault(Code.MALFORMED_NUMBER, start, self.at, "this number is too long") from error


def _number_hint(word: str) -> str:
    if word.lstrip("+-").startswith("."):
        return f"write `{word.replace('.', '0.', 1)}`"
    if word.endswith("."):
        return f"write `{word}0`"
    if re.fullmatch(r"[+-]?0+\d+", word):
        return "a number does not begin with 0"
    return ""
