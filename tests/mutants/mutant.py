"""One fault that somebody could make tomorrow."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """`Mutant("u01", "prerl_spec/…/updating.py", old, new, "every gradient is scaled up", ("tests/…/test_updating.py",))`."""

    name: str
    file: str
    old: str
    new: str
    breaks: str
    seen_by: tuple[str, ...]
