"""`Unknown`: a value in place of one that cannot be known before a run, with the reason."""

from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Unknown:
    """The reason why a value is unknown: `Unknown("config.json of Qwen/Qwen3-4B is not on this machine")`."""

    why: str


class NotKnown(Exception):
    """Raised by a lookup of something that cannot be known before a run; the text is the reason."""


def known(value: T | Unknown) -> T | None:
    """The value, None if it is unknown."""
    return None if isinstance(value, Unknown) else value


def why_unknown(value: object) -> str | None:
    """The reason why a value is unknown, None if it is known."""
    return value.why if isinstance(value, Unknown) else None
