"""Escapes control characters in text from models, data sets and users, so that it is safe to display."""

import re

# C0 and C1 controls except tab and newline, lone surrogates (a torn JSON escape), bidirectional overrides and isolates.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def printable(text: str) -> str:
    r"""The text with unsafe code points escaped: an escape character becomes the four characters `\x1b`.

    A carriage return before a newline is dropped. The result can always be encoded as UTF-8.
    """
    return _UNSAFE.sub(_escaped, text.replace("\r\n", "\n"))


def shortened(text: str, limit: int) -> str:
    """At most `limit` characters of the text, then the number omitted: a runaway response must not fill the page."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]} [... {len(text) - limit} more characters]"


def ascii_only(text: str) -> str:
    """The printable text in ASCII; other characters become Python escape sequences."""
    return printable(text).encode("ascii", "backslashreplace").decode("ascii")


def _escaped(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
