"""A broken law, with what its author can do about it."""


class LawBroken(AssertionError):
    """Like an assertion that fails; `help` says what would be right: `LawBroken("keep() returns 1, not a bool", help="…")`."""

    def __init__(self, message: str, *, help: str) -> None:
        super().__init__(message)
        self.help = help


def require(holds: object, message: str, *, help: str) -> None:
    """Raises LawBroken where `holds` is false."""
    if not holds:
        raise LawBroken(message, help=help)
