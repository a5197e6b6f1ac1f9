"""What the engine may ask of a component of any kind."""

from __future__ import annotations

from typing import Any, Protocol


class Declared(Protocol):
    """What the engine reads of a component of any kind. Every component is a `Component`."""

    @property
    def version(self) -> int:
        """Its behaviour version."""
        ...

    def settings(self) -> dict[str, Any]: ...
