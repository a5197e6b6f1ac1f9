"""Messages between two of our own processes: four bytes of length (big-endian), then JSON. Nothing is ever unpickled."""

import json
from collections.abc import Mapping
from typing import Any, Protocol


class Readable(Protocol):
    """A buffered binary stream: `read(n)` returns n bytes, fewer only at its end."""

    def read(self, size: int, /) -> bytes: ...


def frame(message: Mapping[str, Any]) -> bytes:
    """A message as bytes. ASCII, so that a lone surrogate in a text can be sent as well."""
    return frame_of_json(json.dumps(message).encode("ascii"))


def frame_of_json(body: bytes) -> bytes:
    """The frame of a message that is JSON already."""
    return len(body).to_bytes(4, "big") + body


def read_frame(stream: Readable) -> Any:
    """The next message; None if the stream ends before or within it."""
    header = stream.read(4)
    if len(header) < 4:
        return None
    size = int.from_bytes(header, "big")
    body = stream.read(size)
    return json.loads(body) if len(body) == size else None
