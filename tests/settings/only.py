"""How second values are written down."""

from typing import Any, NamedTuple


class Only(NamedTuple):
    """A value that only other settings give a meaning."""

    value: Any
    beside: dict[str, Any]


Settings = dict[str, Any]
