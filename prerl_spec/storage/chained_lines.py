"""JSON Lines files whose lines carry a checksum and a hash chain: the event log's format.

Each line is one JSON object; its last two keys are `check`, the start of SHA-256 of the line without them, and `chain`, that
of the previous line's chain and this check. A changed byte fails its line's check, a missing or inserted line the chain. An
incomplete last line was torn by a crash and is dropped.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prerl_spec.errors import Damaged
from prerl_spec.storage import disk
from prerl_spec.storage.checks import START, next_chain, sha256_start

_TAIL_BYTES = 1 << 20
_SUFFIX = re.compile(rb', "check": "([0-9a-f]{16})", "chain": "([0-9a-f]{16})"\}')
_SUFFIX_BYTES = len(', "check": "0123456789abcdef", "chain": "0123456789abcdef"}')


@dataclass(frozen=True)
class Lines:
    """The complete lines of a file, without `check` and `chain`: `entries`, the chain after each of them, the bytes that
    they take, and whether a torn line follows."""

    entries: tuple[dict[str, Any], ...]
    chains: tuple[str, ...]
    size: int
    torn: bool

    @property
    def head(self) -> str:
        """The chain after the last line."""
        return self.chains[-1] if self.chains else START


def read_lines(file: Path) -> Lines:
    """Reads and checks a file; no lines if there is no file. Raises Damaged, naming file and line."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return Lines((), (), 0, torn=False)
    *whole, rest = content.split(b"\n")
    chain = START
    entries: list[dict[str, Any]] = []
    chains: list[str] = []
    for number, line in enumerate(whole, 1):
        entry, chain = _checked(file, number, line, chain)
        entries.append(entry)
        chains.append(chain)
    if rest and _body(rest[:-1]) is not None:
        raise _damaged(file, len(whole) + 1, "its line end was changed")
    return Lines(tuple(entries), tuple(chains), len(content) - len(rest), torn=bool(rest))


def first_line(file: Path) -> dict[str, Any]:
    """The first line alone. Raises OSError; Damaged if it is incomplete or fails its check."""
    with file.open("rb") as handle:
        line = handle.readline()
    if not line.endswith(b"\n"):
        raise _damaged(file, 1, "it is incomplete")
    return _checked(file, 1, line[:-1], START)[0]


def last_line(file: Path) -> dict[str, Any] | None:
    """The last complete line, read from the end of the file; None if there is none. Raises Damaged if it fails its check."""
    try:
        with file.open("rb") as handle:
            handle.seek(max(0, handle.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = handle.read().split(b"\n")[:-1]
    except FileNotFoundError:
        return None
    if not lines:
        return None
    body = _body(lines[-1])
    if body is None:
        raise Damaged(f"{file}: the last line is damaged: it fails its checksum", file=file)
    entry = json.loads(body)
    assert isinstance(entry, dict), "only objects are written"
    return entry


def append_lines(file: Path, entries: Iterable[Mapping[str, Any]], head: str) -> str:
    """Appends entries durably and returns the chain after them; `head` is the chain before. Raises OSError."""
    text = b""
    for entry in entries:
        line, head = chained(entry, head)
        text += line
    disk.append(file, text)
    return head


def chained(entry: Mapping[str, Any], head: str) -> tuple[bytes, str]:
    """The line of an entry after the chain `head`, and the chain after it."""
    body = json.dumps(entry).encode("ascii")
    check = sha256_start(body)
    head = next_chain(head, check)
    return body[:-1] + f', "check": "{check}", "chain": "{head}"}}\n'.encode(), head


def cut_torn_line(file: Path, found: Lines) -> None:
    """Truncates the file to its complete lines, in place: these are never rewritten, so no crash can lose them."""
    if found.torn:
        disk.truncate(file, found.size)


def _checked(file: Path, number: int, line: bytes, chain: str) -> tuple[dict[str, Any], str]:
    body = _body(line)
    if body is None:
        if number == 1 and b'"chain"' not in line and _is_object(line):
            raise Damaged(
                f"{file} was written by an earlier version of prerl-spec, whose lines have no checksum",
                file=file,
                hint="finish or read the run with the version that started it, or start a new run",
            )
        raise _damaged(file, number, "it fails its checksum")
    found = line[-18:-2].decode()
    expected = next_chain(chain, sha256_start(body))
    if found != expected:
        raise _damaged(file, number, "it does not follow the line before it: lines are missing, or inserted")
    entry = json.loads(body)
    assert isinstance(entry, dict), "only objects are written"
    return entry, expected


def _body(line: bytes) -> bytes | None:
    """The object without `check` and `chain`, None if it fails its check."""
    found = _SUFFIX.fullmatch(line[-_SUFFIX_BYTES:])
    body = line[:-_SUFFIX_BYTES] + b"}"
    return body if found and sha256_start(body) == found[1].decode() else None


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _damaged(file: Path, number: int, why: str) -> Damaged:
    return Damaged(f"{file}:{number}: the line is damaged: {why}", file=file)
