"""Broken laws: with what their author can do about each, and several at once."""

import re
from collections.abc import Sequence

NOTHING_TO_DIVIDE_BY = "an update may hold no such tokens, and a group one response: divide by `max(1, n)`, or return 0"


class LawBroken(AssertionError):
    """Like an assertion that fails; `help` says what would be right: `LawBroken("keep() returns 1, not a bool", help="…")`.

    `about` is the vector that it is about, "weight_N" or "advantage_N", where that is not the whole result of a member, and
    "page" where it is about what `components show` prints.
    """

    def __init__(self, message: str, *, help: str, about: str | None = None) -> None:
        super().__init__(message)
        self.help = help
        self.about = about


class LawsBroken(AssertionError):
    """Several laws that one component breaks, in the order in which they were tested."""

    def __init__(self, broken: Sequence[Exception]) -> None:
        super().__init__("\n".join(str(one) for one in broken))
        self.broken = tuple(broken)


def require(holds: object, message: str, *, help: str, about: str | None = None) -> None:
    """Raises LawBroken where `holds` is false."""
    if not holds:
        raise LawBroken(message, help=help, about=about)


def kind_of_fault(error: Exception) -> tuple[str, str]:
    """Equal for two errors that differ in numbers alone: one law, broken on steps of several sizes, is told once."""
    return type(error).__name__, re.sub(r"\(?-?\d[\d.,e+\- ]*\)?", "#", str(error))
