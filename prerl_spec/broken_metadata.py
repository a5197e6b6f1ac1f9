"""Keeps one distribution with unreadable entry points from breaking every library that lists entry points.

`importlib.metadata.entry_points()` raises if a single installed distribution has a malformed or non-UTF-8
`entry_points.txt`. pydantic (at the first model), torch (at its import) and others call it, so a stranger's file would end
every command.
"""

from collections.abc import Iterator
from importlib import metadata
from typing import Any

from prerl_spec.unasked_entry_points import is_loaded_unasked

_as_written: Any = metadata.Distribution.entry_points
"""The property of the standard library, which raises."""


def tolerate_broken_entry_points() -> None:
    """From now on in this process, a distribution whose entry points cannot be read has none.

    Idempotent. Readable entry points are unchanged, so that plugins of other libraries keep working, except those that a
    library would import without being asked (see unasked_entry_points.py).
    """
    distribution: Any = metadata.Distribution
    distribution.entry_points = property(_readable)


def broken_entry_points() -> Iterator[tuple[str, str]]:
    """The metadata folder of every distribution whose entry points cannot be read, and why."""
    for distribution in metadata.distributions():
        try:
            _as_written.fget(distribution)
        except Exception as error:  # see _readable
            place = getattr(distribution, "_path", None)
            yield str(place or "an installed distribution"), f"{type(error).__name__}: {error}"


def _readable(distribution: metadata.Distribution) -> metadata.EntryPoints:
    try:
        found = _as_written.fget(distribution)
    except (
        Exception
    ):  # what a parser raises for a stranger's file: TypeError, ValueError, UnicodeDecodeError, OSError …
        return metadata.EntryPoints(())
    assert isinstance(found, metadata.EntryPoints)
    unasked = [entry for entry in found if is_loaded_unasked(entry)]
    return metadata.EntryPoints(entry for entry in found if entry not in unasked) if unasked else found
