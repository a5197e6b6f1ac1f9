"""JSON files that carry their own checksum: an object's last key is `seal`, and each entry of an array has a chain.

Files are compared as bytes with what their values would be written as, so every changed byte is found, spaces included.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prerl_spec.errors import Damaged
from prerl_spec.storage.checks import START, check_of, next_chain
from prerl_spec.storage.disk import write_whole

SEAL = "seal"


def write_object(file: Path, value: Mapping[str, Any]) -> None:
    """Writes a JSON object durably and atomically, with its seal. Values without a JSON form are written as text."""
    write_whole(file, object_text(value))


def object_text(value: Mapping[str, Any]) -> str:
    """The sealed text of an object, indented, keys in their order."""
    plain = json.loads(json.dumps({k: v for k, v in value.items() if k != SEAL}, default=str))
    return _dump({**plain, SEAL: check_of(plain)})


def read_object(file: Path) -> dict[str, Any]:
    """The object without its seal. Raises OSError; Damaged for any changed byte, or for a file that has no seal."""
    value = _load(file)
    if not isinstance(value, dict) or SEAL not in value:
        raise _without_check(file, "no seal")
    plain = {k: v for k, v in value.items() if k != SEAL}
    if value[SEAL] != check_of(plain) or _text(file) != _dump(value):
        raise Damaged(f"{file}: the content differs from its seal", file=file)
    return plain


def array_text(entries: Sequence[Mapping[str, Any]]) -> str:
    """An array of objects, each with `check` and `chain` as its last keys."""
    head, written = START, []
    for entry in entries:
        check = check_of(entry)
        head = next_chain(head, check)
        written.append({**entry, "check": check, "chain": head})
    return _dump(written)


def read_array(file: Path) -> list[dict[str, Any]]:
    """The entries without `check` and `chain`. Raises OSError; Damaged for any changed byte, naming the entry."""
    value = _load(file)
    if not isinstance(value, list):
        raise _without_check(file, "no entries")
    head, entries = START, []
    for number, row in enumerate(value):
        if not isinstance(row, dict) or "check" not in row:
            raise _without_check(file, f"no checksum in entry {number}")
        entry = {k: v for k, v in row.items() if k not in ("check", "chain")}
        check = check_of(entry)
        head = next_chain(head, check)
        if row["check"] != check:
            raise Damaged(f"{file}: entry {number} fails its checksum", file=file)
        if row.get("chain") != head:
            raise Damaged(f"{file}: entry {number} does not follow the one before it", file=file)
        entries.append(entry)
    if _text(file) != _dump(value):
        raise Damaged(f"{file}: bytes between the entries were changed", file=file)
    return entries


def _load(file: Path) -> Any:
    try:
        return json.loads(_text(file))
    except ValueError as error:
        raise Damaged(f"{file}: not valid JSON: {error}", file=file, has_check=f'"{SEAL}"' in _text(file)) from error


def _without_check(file: Path, what: str) -> Damaged:
    return Damaged(
        f"{file} has {what}: another program, or an earlier version of prerl-spec, has written it",
        file=file,
        hint="restore it from a copy, or use the version that wrote it",
        has_check=False,
    )


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise Damaged(f"{file}: not valid UTF-8 at byte {error.start}", file=file) from error


def _dump(value: Any) -> str:
    return json.dumps(value, indent=1) + "\n"
