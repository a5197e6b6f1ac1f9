"""Parses TOML with source spans, and continues after an error, so that one run finds them all.

tomllib is authoritative: if it accepts a document that this parser rejects, or reads another value, its values are used
and the tree has no spans; if it rejects what this parser accepts, its error is the diagnostic.
"""

import math
import re
import tomllib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from prerl_spec.codes import Code
from prerl_spec.errors import Diagnostic, Span, Suggestion
from prerl_spec.language.document import Array, Document, Entry, Invalid, Node, Scalar, Table, from_plain, parts, plain
from prerl_spec.language.encoding import decode
from prerl_spec.language.lexing import DEEPEST, Fault, Lexer
from prerl_spec.language.recovery import STATEMENT, closing_brackets, next_header, next_statement
from prerl_spec.language.tables import Tables


def read(data: bytes, file: str) -> Document:
    """Parses a file's bytes. Never raises for a user's mistake: errors are in `diagnostics`."""
    text, faults = decode(data, file)
    if text is None:
        return Document(file, "", Table(), faults, has_gaps=True)
    document = _document(text, file)
    # The replacements of bytes that are not UTF-8 are not reported a second time.
    bad = {(d.span.line, d.span.column) for d in faults if d.span}
    document.diagnostics[:] = [
        d for d in document.diagnostics if d.span is None or (d.span.line, d.span.column) not in bad
    ]
    document.diagnostics[:0] = faults
    _spoil(document.root, [d.span for d in faults if d.span])
    return document


def _spoil(node: Node, places: list[Span]) -> None:
    """Makes every value that contains one of the spans Invalid: a string with a lost character has no known value."""

    def spoilt(value: Node) -> Node:
        span = value.span
        if isinstance(value, Scalar) and span is not None:
            first, last = (span.line, span.column), (span.end_line, span.end_column)
            if any(first <= (place.line, place.column) < last for place in places):
                return Invalid(span)
        return value

    for part in parts(node) if places else ():
        if isinstance(part, Table):
            part.entries = {k: Entry(k, e.span, spoilt(e.value)) for k, e in part.entries.items()}
        elif isinstance(part, Array):
            part.items = [spoilt(item) for item in part.items]


def read_text(text: str, file: str) -> Document:
    """A document from text, which may begin with one byte-order mark; see `read`."""
    return _document(text.removeprefix("\ufeff"), file)


def _document(text: str, file: str) -> Document:
    reader = _Reader(text, file)
    reader.statements()
    document = Document(file, text, reader.tables.root, reader.tables.diagnostics, reader.has_gaps)
    if reader.is_too_deep or _is_settled(document, reader.shortened()):
        return document
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        if not document.diagnostics:
            document.diagnostics.append(_tomllib_error(error, file))
        return document
    except (ValueError, RecursionError) as error:
        if not document.diagnostics:
            document.diagnostics.append(Diagnostic(Code.TOML_SYNTAX, f"the file cannot be read: {error}"))
        return document
    if document.diagnostics or not _same(plain(document.root), values):
        tree = from_plain(values)
        assert isinstance(tree, Table), "a TOML document is a table"
        return Document(file, text, tree, [])
    return document


def _is_settled(document: Document, shortened: tuple[str, dict[str, str]] | None) -> bool:
    """Whether tomllib judges the shortened text as the document was judged: the same values, or mistakes as well.

    False if that is unknown: then it has to read the whole text.
    """
    if shortened is None:
        return False
    text, meant = shortened
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError):
        return bool(document.diagnostics)
    return not document.diagnostics and _same(plain(document.root), values, meant)


def read_value(text: str, file: str, start: int = 0) -> Node:
    """The TOML value at the end of a text, with its spans. Raises Fault."""
    reader = _Reader(text, file)
    reader.at = start
    reader.skip_blank()
    node = reader.value()
    reader.skip_blank()
    if reader.at < len(text):
        raise reader.unexpected(reader.at)
    return node


_REST_OF_KEY = re.compile(r"([A-Za-z0-9_-]+(?:[ \t]+[A-Za-z0-9_-]+)*)[ \t]*=")
"""Words between a key and its `=`."""


class _NoEquals(Fault):
    """A key that is not followed by `=`: the intended key is uncertain."""


class _Reader(Lexer):
    """The parser of statements and values; every error becomes a diagnostic, and parsing continues after it."""

    def __init__(self, text: str, file: str) -> None:
        super().__init__(text, file)
        self.tables = Tables()
        self.has_gaps = False
        self._depth = 0
        self._closed: dict[int, int] | None = None
        """The result of `closing_brackets` from the first inline table that does not end on its line."""

    def statements(self) -> None:
        self.skip_empty_lines()
        while self.at < len(self.text):
            start = self.at
            try:
                self._statement()
            except Fault as fault:
                self._report(fault)
                self.at = max(self._resume(start, fault), start + 1)
            self.skip_empty_lines()

    def _statement(self) -> None:
        self.skip_blank()
        if self.char == "[":
            self._header()
        elif not self.at_line_end and self.char != "#":
            self._assignment()
        self._end_of_statement()
        self.at = self.next_line(self.at)

    def _end_of_statement(self) -> None:
        self.skip_blank()
        self.skip_comment()
        if not self.at_line_end:
            raise self.unexpected(self.at, "expected the end of the line")

    def _assignment(self) -> None:
        """A key and its value; an unreadable value still records its key, so that the key is not reported as missing."""
        try:
            keys = self.dotted_key()
        except Fault:
            self._gap_here()
            raise
        try:
            if self.char != "=":
                raise self._no_equals(keys)
            self.at += 1
            self.skip_blank()
            node = self.value()
            self._end_of_statement()
        except Fault as fault:
            doubtful = isinstance(fault, _NoEquals)
            if doubtful:
                self._gap_here()
            self.tables.place(self.tables.here, keys, Invalid(self.span(fault.start, fault.end), doubtful))
            raise
        self.tables.place(self.tables.here, keys, node)

    def _no_equals(self, keys: list[tuple[str, Span]]) -> "_NoEquals":
        """The fault of a key that is not followed by `=`; in `out put = 1`, both words are meant as one key."""
        rest = _REST_OF_KEY.match(self.text, self.at)
        words = [keys[-1][0], *(rest[1].split() if rest else ())]
        caret = f"a key is one word, as in `{'_'.join(words)}`" if rest else "expected `=`"
        plain = self.unexpected(self.at, caret)
        return _NoEquals(plain.code, plain.start, plain.end, plain.message, plain.caret)

    # --- values ----------------------------------------------------------------------------------------------------

    def value(self) -> Node:
        """The value at the cursor. Raises Fault."""
        start = self.at
        if self.char and self.char in "[{":
            if self._depth == DEEPEST:
                raise self.too_deep(start)
            self._depth += 1
            try:
                return self._array() if self.char == "[" else self._inline_table()
            finally:
                self._depth -= 1
        if self.at_line_end or self.char == "#":
            raise Fault(Code.TOML_SYNTAX, start, start + 1, "a value is missing", "expected a value after `=`")
        scalar = self.string() if self.char in ('"', "'") else self.word()
        return Scalar(scalar, self.span(start, self.at))

    def _array(self) -> Array:
        opening, items, comma = self.at, [], True
        self.at += 1
        while True:
            line_broke = self._gap(opening)
            if self.char == "]":
                break
            if not comma:
                missing = "expected `,` or `]`"
                raise self._not_closed(opening, "]") if line_broke else self.unexpected(self.at, missing)
            items.append(self.value())
            comma = self._comma(opening)
        self.at += 1
        return Array(items, self.span(opening, self.at))

    def _comma(self, opening: int) -> bool:
        """Skips a comma, possibly on a later line; the cursor stays after the value if there is none."""
        behind_value = self.at
        self._gap(opening)
        if self.char != ",":
            self.at = behind_value
            return False
        self.at += 1
        return True

    def _gap(self, opening: int) -> bool:
        """Skips blanks, comments and line ends inside a list; True if a line ended.

        A line that can only begin a statement shows that the bracket was never closed.
        """
        crossed = False
        while True:
            self.skip_blank()
            self.skip_comment()
            if self.at >= len(self.text):
                raise self._not_closed(opening, "]")
            if not self.at_line_end:
                return crossed
            crossed = True
            self.at = self.next_line(self.at)
            if STATEMENT.match(self.text, self.at):
                raise self._not_closed(opening, "]")

    def _inline_table(self) -> Table:
        opening = self.at
        self.at += 1
        table = Table(form="inline")
        self._inline_blank(opening)
        while self.char != "}":
            keys = self.dotted_key()
            self._inline_blank(opening)
            if self.char != "=":
                raise self.unexpected(self.at, "expected `=`")
            self.at += 1
            self._inline_blank(opening)
            self.tables.place(table, keys, self.value())
            self._inline_blank(opening)
            if self.char == ",":
                self.at += 1
                self._inline_blank(opening)
                if self.char == "}":
                    raise self.unexpected(self.at, "an inline table may not end with a comma")
            elif self.char == "]":
                raise self._not_closed(opening, "}")
            elif self.char != "}":
                raise self.unexpected(self.at, "expected `,` or `}`")
        self.at += 1
        table.span = self.span(opening, self.at)
        return table

    def _inline_blank(self, opening: int) -> None:
        """Skips blanks inside an inline table, which must end on its line.

        A line end inside is the error if a `}` follows, else the opening brace is.
        """
        self.skip_blank()
        if not self.at_line_end and self.char != "#":
            return
        if self._closed is None:
            self._closed = closing_brackets(self.text, opening)
        closed = self._closed.get(opening)
        if closed is None:
            raise self._not_closed(opening, "}")
        fault = Fault(
            Code.TOML_SYNTAX, self.at, self.at + 1, "an inline table must be on one line", "the line ends inside `{ }`"
        )
        fault.resume = self.next_line(closed)
        raise fault

    def _not_closed(self, opening: int, closing: str) -> Fault:
        return Fault(Code.UNCLOSED, opening, opening + 1, "this bracket is not closed", f"no `{closing}`")

    # --- [headers] -------------------------------------------------------------------------------------------------

    def _header(self) -> None:
        """`[a.b]` or `[[a.b]]`; one with a missing or extra bracket still opens its table, so that only it is
        reported."""
        opening = self.at
        many = self.text.startswith("[[", self.at)
        closing = "]]" if many else "]"
        self.at += len(closing)
        self.tables.begin_header()
        try:
            self.skip_blank()
            keys = self.dotted_key()
        except Fault as fault:
            self._lost_header()
            raise (
                self._not_closed(opening, closing) if self.at_line_end and fault.code == Code.TOML_SYNTAX else fault
            ) from None
        first, last = keys[0][1], keys[-1][1]
        header = Span(self.file, first.line, first.column, last.end_line, last.end_column)
        if self.text.startswith(closing, self.at):
            self.at += len(closing)
            too_many = not many and self.char == "]"
            self.tables.open(keys, many or too_many, header)
        elif self.at_line_end or self.char in "]#":
            self.tables.open(keys, many, header)
            raise self._not_closed(opening, closing)
        else:
            self._lost_header()
            raise self.unexpected(self.at, f"expected `{closing}`")

    # --- after an error ---------------------------------------------------------------------------------------------

    def _report(self, fault: Fault) -> None:
        self.has_faults = True
        suggestions = (Suggestion(fault.caret, fault.suggestion),) if fault.suggestion is not None else ()
        span = self.span(fault.start, max(fault.end, fault.start + 1))
        if span.end_line > span.line:  # a fault at the line's end is shown after its last character
            span = Span(span.file, span.line, span.column, span.line, span.column + 1)
        self.tables.diagnostics.append(
            Diagnostic(fault.code, fault.message, span, caret=fault.caret, suggestions=suggestions)
        )

    def _gap_here(self) -> None:
        self.has_gaps = self.tables.here.has_gap = True

    def _lost_header(self) -> None:
        self.has_gaps = True
        self.tables.unreadable()

    def _resume(self, start: int, fault: Fault) -> int:
        if fault.resume is not None:
            return fault.resume
        if fault.code == Code.UNCLOSED and self.text.startswith(('"""', "'''"), fault.start):
            self._gap_here()
            return next_header(self.text, fault.start)
        return next_statement(self.text, start, fault.start)


def _tomllib_error(error: tomllib.TOMLDecodeError, file: str) -> Diagnostic:
    """tomllib's own message and position."""
    found = re.search(r"(.*) \(at line (\d+), column (\d+)\)", str(error))
    if found is None:
        return Diagnostic(Code.TOML_SYNTAX, f"the file is not TOML: {str(error)[:1].lower()}{str(error)[1:]}")
    line, column = int(found[2]), int(found[3])
    message = f"the file is not TOML: {found[1][:1].lower()}{found[1][1:]}"
    return Diagnostic(Code.TOML_SYNTAX, message, Span(file, line, column, line, column + 1))


def _same(ours: Any, theirs: Any, meant: Mapping[str, str] = MappingProxyType({})) -> bool:
    """Equality that distinguishes 1 from true and from 1.0, and treats nan as equal to itself.

    `meant` has the strings that some of theirs stand for.
    """
    if type(ours) is not type(theirs):
        return False
    if isinstance(ours, dict):
        return ours.keys() == theirs.keys() and all(_same(v, theirs[k], meant) for k, v in ours.items())
    if isinstance(ours, list):
        return len(ours) == len(theirs) and all(_same(a, b, meant) for a, b in zip(ours, theirs, strict=True))
    if isinstance(ours, str):
        return bool(ours == meant.get(theirs, theirs))
    if isinstance(ours, float) and math.isnan(ours):
        return math.isnan(theirs)
    return bool(ours == theirs)
