"""What cannot be known before a run, as a value: it stands in the place of the thing itself, and says why."""

from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Unknown:
    """Nothing can be said here yet: `Unknown("config.json of Qwen/Qwen3-4B is not on this machine")`."""

    why: str


class NotKnown(Exception):
    """Raised by what looks for something that cannot be known before a run; the text says why."""


def known(value: T | Unknown) -> T | None:
    """The thing itself, None where it is not known."""
    return None if isinstance(value, Unknown) else value


def why_unknown(value: object) -> str | None:
    """Why something is not known, None where it is."""
    return value.why if isinstance(value, Unknown) else None
