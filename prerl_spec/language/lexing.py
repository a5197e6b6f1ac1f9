"""The lexer of TOML: keys, strings and numbers with their spans; tomllib computes the value of a number or date.

The grammar of tables and statements is in `toml.py`.
"""

import json
import re
import tomllib
from bisect import bisect_right
from typing import Any

from prerl_spec.codes import Code
from prerl_spec.errors import Span

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
WORD = re.compile(r"[A-Za-z0-9_+.:-]+")
BLANK = re.compile(r"[ \t]*")
EMPTY_LINES = re.compile(r"(?:[ \t]*+(?:#[^\x00-\x08\x0a-\x1f\x7f]*+)?\r?\n)*+")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_HEX, _SURROGATE = "[0-9A-Fa-f]", "[Dd][89A-Fa-f]"
_ESCAPE = rf'\\(?:[btnfr"\\]|u(?!{_SURROGATE}){_HEX}{{4}}|U00(?!00{_SURROGATE})(?:0{_HEX}|10){_HEX}{{4}})'
"""Surrogates are not characters, and no code point lies above 10FFFF."""
_ONE_LINE, _MANY_LINES = r"\x00-\x08\x0a-\x1f\x7f", r"\x00-\x08\x0b-\x1f\x7f"
"""Control characters that are not allowed in a string."""
_BODY = {
    '"': re.compile(rf'(?:[^"\\{_ONE_LINE}]++|{_ESCAPE})*+'),
    "'": re.compile(rf"[^'{_ONE_LINE}]*+"),
    '"""': re.compile(rf'(?:[^"\\{_MANY_LINES}]++|"(?!"")|{_ESCAPE}|\r\n|\\[ \t]*\r?\n)*+'),
    "'''": re.compile(rf"(?:[^'{_MANY_LINES}]++|'(?!'')|\r\n)*+"),
}
"""Every valid string body, by its opening quotes. Possessive, so that a string of megabytes is scanned once."""
_MORE_QUOTES = {quote: re.compile(f"{quote}{{0,2}}") for quote in ('"', "'")}
_FOLD = re.compile(r"\\[ \t]*\n[ \t\n]*")
_SMALL_U, _LARGE_U = re.compile(r"\\U0000(.{4})"), re.compile(r"\\U00(.{6})")
"""A code point that JSON writes as `\\uXXXX`, and one above, of which it would write a surrogate pair."""
_PAIR = "\ud800"
"""Stands for an escaped backslash while a body is decoded: no escape and no UTF-8 file yields it."""
_TO_DECODE = re.compile(r"\\(?:u(.{4})|U(.{8})|([ \t]*\n[ \t\n]*)|(.))")
_SHORT_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "\\": "\\"}
_NUMBER_LIKE = re.compile(r"[+-]?\.?\d|[+-]|\.")
_BARE_E = re.compile(r"[0-9.][eE][+-]?$")
_DATE_LIKE = re.compile(r"\d{4}-\d{2}|\d{2}:\d{2}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}[ ]\d{2}:\d{2}")


LONG = 10_000
"""Length in characters from which a bare word is rejected."""
LONG_STRING = 1_000
"""Length in characters from which a string is decoded as a whole, and not read a second time by tomllib."""
_STAND_IN = "\ufdd0{}"
"""What stands for a long string in the text that tomllib reads: U+FDD0 is not a character of any text."""
DEEPEST = 64
"""Most levels of nesting, and most segments of a key; no real spec comes near."""


def named(char: str) -> str:
    """A character as printed in a message; unprintable ones by code point."""
    if char == "\ufeff":
        return "byte-order mark (U+FEFF)"
    return f"`{char}`" if char.isprintable() else f"U+{ord(char):04X}"


class Fault(Exception):
    """A syntax error at text[start:end]; `suggestion` may replace it. `resume` is where parsing can resume, or
    None if that has to be searched for."""

    def __init__(
        self, code: Code, start: int, end: int, message: str, caret: str = "", suggestion: str | None = None
    ) -> None:
        super().__init__(message)
        self.code, self.start, self.end = code, start, end
        self.message, self.caret, self.suggestion = message, caret, suggestion
        self.resume: int | None = None


class Lexer:
    """A cursor over a text; every method that reads a token moves `at` past it or raises Fault."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.at = 0
        self.is_too_deep = False
        self._long_strings: list[tuple[int, int, str]] = []
        """Start and end, with the quotes, and the value, of those before the first fault: later ones may be misread."""
        self.has_faults = False
        self._starts = [0, *(m.end() for m in re.finditer("\n", text))]

    def span(self, start: int, end: int) -> Span:
        """The span of text[start:end], 1-based, in code points."""
        line = bisect_right(self._starts, start)
        end_line = bisect_right(self._starts, max(end - 1, start))
        return Span(self.file, line, start - self._starts[line - 1] + 1, end_line, end - self._starts[end_line - 1] + 1)

    @property
    def char(self) -> str:
        """The next character, "" at the end."""
        return self.text[self.at : self.at + 1]

    @property
    def at_line_end(self) -> bool:
        """Whether the cursor is at a line end or at the end of the text."""
        return self.at >= len(self.text) or self.char == "\n" or self.text.startswith("\r\n", self.at)

    def next_line(self, start: int) -> int:
        """Where the line after text[start] begins."""
        newline = self.text.find("\n", start)
        return len(self.text) if newline < 0 else newline + 1

    def skip_empty_lines(self) -> None:
        """Skips lines that contain only blanks and comments."""
        match = EMPTY_LINES.match(self.text, self.at)
        assert match is not None, "a pattern that may be empty always matches"
        self.at = match.end()

    def skip_blank(self) -> None:
        match = BLANK.match(self.text, self.at)
        assert match is not None, "a pattern that may be empty always matches"
        self.at = match.end()

    def skip_comment(self) -> None:
        """Skips a comment, up to the line's end. Raises Fault at a control character."""
        if self.char != "#":
            return
        end = self.next_line(self.at)
        end -= self.text[self.at : end].endswith("\n")
        end -= self.text[self.at : end].endswith("\r")
        if control := _CONTROL.search(self.text, self.at, end):
            raise self.unexpected(control.start(), "control characters are not allowed in a comment")
        self.at = end

    def unexpected(self, where: int, caret: str = "") -> Fault:
        """The fault of a character that is not allowed where it is."""
        char = self.text[where : where + 1]
        if char in ("", "\n") or self.text.startswith("\r\n", where):
            return Fault(Code.TOML_SYNTAX, where, where + 1, "unexpected end of line", caret)
        return Fault(Code.TOML_SYNTAX, where, where + 1, f"unexpected {named(char)}", caret)

    def too_deep(self, where: int) -> Fault:
        """The fault of nesting deeper than `DEEPEST`."""
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
            raise self.unexpected(self.at, "expected a key")
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
        body = self._body(start, fence)
        value = body if quote == "'" else unescaped(body)
        if len(body) >= LONG_STRING and not self.has_faults:
            self._long_strings.append((start, self.at, value))
        return value

    def shortened(self) -> tuple[str, dict[str, str]] | None:
        """The text with a short string in place of each long one, and what each stands for; None if none is long.

        tomllib decodes escapes one by one and scans double-quoted strings character by character.
        """
        pieces, behind, meant = [], 0, {}
        for number, (start, stop, value) in enumerate(self._long_strings):
            stand_in = _STAND_IN.format(number)
            pieces += [self.text[behind:start], f"'{stand_in}'"]
            behind, meant[stand_in] = stop, value
        return ("".join([*pieces, self.text[behind:]]), meant) if meant else None

    def _body(self, start: int, fence: str) -> str:
        """The body between the quotes, read in one match; line ends become `\\n`, and one directly after opening triple
        quotes is dropped."""
        begin = self.at
        good = _BODY[fence].match(self.text, begin)
        assert good is not None, "a pattern that may be empty always matches"
        self.at = good.end()
        if not self.text.startswith(fence, self.at):
            raise self._fault_in_string(start, fence)
        end, self.at = self.at, self.at + len(fence)
        if len(fence) == 1:
            return self.text[begin:end]
        extra = _MORE_QUOTES[fence[0]].match(
            self.text, self.at
        )  # up to two quotes may directly precede the closing three
        assert extra is not None, "a pattern that may be empty always matches"
        end, self.at = end + len(extra[0]), extra.end()
        return self.text[begin:end].replace("\r\n", "\n").removeprefix("\n")

    def _fault_in_string(self, start: int, fence: str) -> Fault:
        """The fault of a string at the cursor: it is not closed, or contains a character that no string may contain."""
        if self.at >= len(self.text) or (len(fence) == 1 and self.at_line_end):
            end = self.next_line(start)
            end -= self.text[start:end].endswith("\n")
            return Fault(Code.UNCLOSED, start, max(start + len(fence), end), "this string is not closed", f"no {fence}")
        if self.char == "\\":
            escape = self.text[self.at : self.at + 2].strip()
            hint = "write `\\\\` for a backslash, or use single quotes"
            return Fault(Code.TOML_SYNTAX, self.at, self.at + 2, f"`{escape}` is not an escape", hint)
        return self.unexpected(self.at, "write control characters as escapes")

    def word(self) -> Any:
        """A number, boolean or date. Raises Fault: E0105 for null, E0106 for a malformed number, else E0101."""
        start = self.at
        match = (_DATE.match(self.text, start) and re.compile(r"[0-9: .+Z-]+").match(self.text, start)) or WORD.match(
            self.text, start
        )
        if match is None:
            raise self.unexpected(start, "expected a value")
        word = match.group().rstrip()
        self.at = start + len(word)
        if len(word) < LONG:
            try:
                return self._tomllib_value(start)
            except tomllib.TOMLDecodeError:
                pass
        elif _NUMBER_LIKE.match(word):
            raise Fault(Code.MALFORMED_NUMBER, start, self.at, "this number is too long")
        else:
            raise Fault(Code.TOML_SYNTAX, start, self.at, f"unexpected `{word[:20]}...`", "a text must be quoted")
        if word.casefold() in ("null", "none", "nil"):
            raise Fault(
                Code.NULL_VALUE,
                start,
                self.at,
                f"TOML has no `{word}`",
                "omit the key, or write a value",
            )
        if _NUMBER_LIKE.match(word) and not _DATE_LIKE.match(word):
            meant = number_meant(word)
            caret = (
                f"write `{meant}`" if meant is not None else "expected digits after `e`" if _BARE_E.search(word) else ""
            )
            raise Fault(Code.MALFORMED_NUMBER, start, self.at, f"`{word}` is not a number", caret, meant)
        if word.lower() in ("true", "false"):
            raise Fault(
                Code.TOML_SYNTAX, start, self.at, f"unexpected `{word}`", f"write `{word.lower()}`", word.lower()
            )
        if _DATE_LIKE.match(word):
            raise Fault(Code.TOML_SYNTAX, start, self.at, f"`{word}` is not a date or time")
        raise Fault(Code.TOML_SYNTAX, start, self.at, f"unexpected `{word}`", "a text must be quoted", f'"{word}"')

    def _tomllib_value(self, start: int) -> Any:
        raw = self.text[start : self.at]
        try:
            return tomllib.loads(f"v = {raw}")["v"]
        except ValueError as error:
            if isinstance(error, tomllib.TOMLDecodeError):
                raise
            # Integers of thousands of digits and impossible dates raise a plain ValueError.
            raise Fault(Code.MALFORMED_NUMBER, start, self.at, "this number is too long") from error


def unescaped(body: str) -> str:
    """A double-quoted string's valid body with its escapes decoded and its folded lines joined."""
    if "\\" not in body:
        return body
    return _TO_DECODE.sub(_decoded, body) if len(body) < LONG_STRING or _PAIR in body else _decoded_at_once(body)


def _decoded_at_once(body: str) -> str:
    """The same for a long body, without a call for each escape: what JSON does not know is put in its words."""
    single = body.replace("\\\\", _PAIR)  # from here on every backslash begins an escape that is not of a backslash
    single = _FOLD.sub("", single).replace('\\"', '"').replace('"', '\\"')
    if "\\U" in single:
        single = _LARGE_U.sub(lambda m: chr(int(m[1], 16)), _SMALL_U.sub(r"\\u\1", single))
    value = json.loads('"' + single.replace(_PAIR, "\\\\") + '"', strict=False)
    assert isinstance(value, str), "the text between two quotes is a string"
    return value


def _decoded(escape: re.Match[str]) -> str:
    code = escape[1] or escape[2]
    if code:
        return chr(int(code, 16))
    return "" if escape[3] else _SHORT_ESCAPES[escape[4]]


def number_meant(word: str) -> str | None:
    """The TOML number that a malformed word was meant to be: 0.5 for `.5`, 5.0 for `5.`, 17 for `017`, 1_0 for `1__0`."""
    meant = re.sub(r"^([+-]?)(?:0+(?=[0-9])|0([XOB]))", lambda m: m[1] + (f"0{m[2].lower()}" if m[2] else ""), word)
    meant = re.sub(r"(?<![0-9_.])\.(?=[0-9])", "0.", meant)
    meant = re.sub(r"(?<=[0-9])\.(?=[eE]|$)", ".0", meant)
    meant = re.sub(r"__+", "_", meant).rstrip("_")
    try:
        value = tomllib.loads(f"v = {meant}")["v"]
    except ValueError:
        return None
    return meant if meant != word and isinstance(value, int | float) else None
