"""Append-only files of frames, each with a checksum: the journal's format.

A frame is a prefix of 24 bytes, a msgpack header and raw arrays, all little-endian:

    magic "PRLF" · kind u16 · format u16 · number u32 · length u32 · crc32c of the payload u32 · crc32c of the prefix u32
    payload: length of the header u32 · header · arrays one after another

`number` counts the file's frames from 0. The header's key "arrays" lists (name, dtype, length) of each array. An incomplete
last frame was torn by a crash and is dropped; a complete one that fails a check is damage.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

import google_crc32c
import msgpack
import numpy as np
import numpy.typing as npt

from prerl_spec.errors import Damaged
from prerl_spec.storage import disk

FORMAT = 1
_MAGIC = b"PRLF"
_PREFIX = struct.Struct("<4sHHIII")
_CHECK = struct.Struct("<I")
_PREFIX_BYTES = _PREFIX.size + _CHECK.size
_MOST_BYTES = (1 << 32) - 1

AnyArray = npt.NDArray[Any]


class FrameKind(IntEnum):
    """What a frame holds."""

    STEP = 1
    GROUP = 2
    VERDICTS = 3
    REJECTION = 4
    DOCUMENTS = 5
    RESPONSES = 6
    OPERATION = 7


_KINDS = frozenset(FrameKind)


@dataclass(frozen=True)
class Frame:
    """`Frame(FrameKind.GROUP, {"slot": 3}, {"tokens": array})`: small values in the header, long ones in arrays."""

    kind: FrameKind
    header: Mapping[str, Any]
    arrays: Mapping[str, AnyArray] = field(default_factory=dict)


@dataclass(frozen=True)
class FrameFile:
    """A file of frames as it was read: its `frames`, the bytes that they take, and whether a torn frame follows."""

    frames: tuple[Frame, ...]
    size: int
    torn: bool


def append_frames(file: Path, frames: Sequence[Frame], *, first: int) -> None:
    """Appends frames durably; `first` is the number of frames already in the file. Raises OSError, and ValueError for a
    frame of 4 GiB or more."""
    disk.append(file, b"".join(encoded(frame, first + n) for n, frame in enumerate(frames)))


def read_frames(file: Path) -> FrameFile:
    """All complete frames of a file; none if there is no file. Raises Damaged, naming file, frame and byte."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return FrameFile((), 0, torn=False)
    frames: list[Frame] = []
    at = 0
    for frame, end in _frames(file, content):
        frames.append(frame)
        at = end
    return FrameFile(tuple(frames), at, torn=at != len(content))


def first_frame(file: Path) -> Frame | None:
    """The first frame of a file, None if there is none or it is torn. Raises OSError, Damaged."""
    return next((frame for frame, _ in _frames(file, file.read_bytes())), None)


def cut_torn_frame(file: Path, found: FrameFile) -> None:
    """Truncates the file to its complete frames, in place: these are never rewritten, so no crash can lose them."""
    if found.torn:
        disk.truncate(file, found.size)


def encoded(frame: Frame, number: int) -> bytes:
    """The bytes of a frame at its place in a file."""
    arrays = {name: _little_endian(array) for name, array in frame.arrays.items()}
    listed = [[name, array.dtype.str, int(array.size)] for name, array in arrays.items()]
    header: bytes = msgpack.packb({**frame.header, "arrays": listed}, unicode_errors="surrogatepass")
    payload = b"".join([_CHECK.pack(len(header)), header, *(array.tobytes() for array in arrays.values())])
    if len(payload) > _MOST_BYTES:
        raise ValueError(f"a frame of {len(payload)} bytes is too long: the limit is 4 GiB")
    prefix = _PREFIX.pack(_MAGIC, frame.kind, FORMAT, number, len(payload), google_crc32c.value(payload))
    return prefix + _CHECK.pack(google_crc32c.value(prefix)) + payload


def _frames(file: Path, content: bytes) -> Iterator[tuple[Frame, int]]:
    """Each complete frame and the byte after it."""
    at = number = 0
    while at + _PREFIX_BYTES <= len(content):
        prefix = content[at : at + _PREFIX.size]
        magic, kind, version, found, length, check = _PREFIX.unpack(prefix)
        if _CHECK.unpack_from(content, at + _PREFIX.size)[0] != google_crc32c.value(prefix):
            if not content[at:].strip(b"\0"):
                return  # blocks that were allocated and never written
            raise _damaged(file, number, at, "its prefix fails its checksum")
        if magic != _MAGIC or version != FORMAT or kind not in _KINDS:
            what = f"it is of kind {kind} and format {version}, and this version of prerl-spec reads format {FORMAT}"
            raise _damaged(file, number, at, what)
        if found != number:
            raise _damaged(file, number, at, f"it is frame {found}: frames are missing or repeated")
        begin, end = at + _PREFIX_BYTES, at + _PREFIX_BYTES + length
        if end > len(content):
            return
        payload = content[begin:end]
        if google_crc32c.value(payload) != check:
            raise _damaged(file, number, at, "its content fails its checksum")
        yield _decoded(FrameKind(kind), payload), end
        at, number = end, number + 1


def _decoded(kind: FrameKind, payload: bytes) -> Frame:
    (length,) = _CHECK.unpack_from(payload)
    header = msgpack.unpackb(
        payload[_CHECK.size : _CHECK.size + length], unicode_errors="surrogatepass", strict_map_key=False
    )
    arrays: dict[str, AnyArray] = {}
    at = _CHECK.size + length
    for name, dtype, size in header.pop("arrays"):
        arrays[name] = np.frombuffer(payload, dtype=np.dtype(dtype), count=size, offset=at)
        at += arrays[name].nbytes
    return Frame(kind, header, arrays)


def _little_endian(array: AnyArray) -> AnyArray:
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))


def _damaged(file: Path, number: int, at: int, why: str) -> Damaged:
    return Damaged(f"{file}: frame {number} at byte {at} is damaged: {why}", file=file)
