"""Where parsing resumes after a syntax error, so that each error is reported once and later ones are still found."""

import re
from collections.abc import Iterator

STATEMENT = re.compile(
    r"""[ \t]*(?:
        (?:[A-Za-z_][\w-]*|"[^"\n]*"|'[^'\n]*')(?:[ \t]*\.[ \t]*[\w"'-]+)*[ \t]*=      # key =
      | \[{1,2}[ \t]*[A-Za-z_][\w.-]*[ \t]*\]{1,2}[ \t]*(?:\#[^\n]*)?(?:\r?\n|$)        # [header]
    )""",
    re.VERBOSE,
)
"""A line that can only begin a new statement, even after an unclosed string or bracket."""
_HEADER_LINE = re.compile(r"^[ \t]*\[{1,2}[ \t]*[A-Za-z_][\w.-]*[ \t]*\]{1,2}[ \t]*(?:#[^\n]*)?\r?$", re.MULTILINE)
_MARK = re.compile(r"""["'#\[\]{}\n]""")
_IN_ONE_LINE = {'"': re.compile(r'(?:[^"\\\n]++|\\.)*+'), "'": re.compile(r"[^'\n]*+")}
_IN_MANY_LINES = {
    '"': re.compile(r'(?:[^"\\]++|\\.|"(?!""))*+', re.DOTALL),
    "'": re.compile(r"(?:[^']++|'(?!''))*+"),
}
"""The body of a string, valid or not, by its quote character."""
_HEADER_START = re.compile(r"[ \t]*\[{1,2}[A-Za-z_]")


def next_statement(text: str, start: int, fault: int) -> int:
    """The end of the line that closes the brackets which a statement (from `start`) has open at its fault, but never
    past a line that can only begin a statement."""
    depth = 0
    for char, at in _structure(text, start):
        depth += (char in "[{") - (char in "]}")
        if char == "\n" and at > fault and (depth <= 0 or STATEMENT.match(text, at)):
            return at
    return len(text)


def next_header(text: str, fault: int) -> int:
    """The next table header line: after an unclosed multi-line string, nothing before it can be trusted."""
    header = _HEADER_LINE.search(text, fault)
    return header.start() if header else len(text)


def closing_brackets(text: str, start: int) -> dict[int, int]:
    """Opening bracket -> position after its closing bracket, for every bracket from `start` on.

    Brackets that are not closed before the next header are absent. One scan for all: a scan for each would be quadratic.
    """
    closed: dict[int, int] = {}
    open_: list[int] = []
    for char, at in _structure(text, start):
        if char in "[{":
            open_.append(at - 1)
        elif char in "]}" and open_:
            closed[open_.pop()] = at
        elif char == "\n" and _HEADER_START.match(text, at):
            open_.clear()
    return closed


def _structure(text: str, at: int) -> Iterator[tuple[str, int]]:
    """Every bracket and line end outside strings and comments, with the position after it."""
    while found := _MARK.search(text, at):
        if found[0] in "\"'":
            at = _string_end(text, found.start())
        elif found[0] == "#":
            at = _line_end(text, found.start())
        else:
            at = found.end()
            yield found[0], at


def _line_end(text: str, at: int) -> int:
    newline = text.find("\n", at)
    return len(text) if newline < 0 else newline


def _string_end(text: str, at: int) -> int:
    """The position after the string that opens at `at`; the end of its line if it is not closed."""
    quote = text[at]
    fence = quote * 3 if text.startswith(quote * 3, at) else quote
    inside = _IN_MANY_LINES[quote] if len(fence) == 3 else _IN_ONE_LINE[quote]
    body = inside.match(text, at + len(fence))
    assert body is not None, "a pattern that may be empty always matches"
    return body.end() + len(fence) if text.startswith(fence, body.end()) else body.end()
