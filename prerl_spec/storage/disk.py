"""Every storage operation of a run: write, append, sync, rename, truncate, remove, sync of a folder.

What is synced survives a crash of the machine; what is not may be lost, in any subset and order. A new name is durable once
its folder is synced. `observed` is the seam for tests: they see each operation before it happens.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, NamedTuple

Kind = Literal["make_folder", "write", "append", "sync", "rename", "truncate", "remove", "sync_folder"]


class Operation(NamedTuple):
    """`Operation("rename", Path("checkpoints/.tmp-4-ab"), target=Path("checkpoints/step-000004"))`."""

    kind: Kind
    path: Path
    data: bytes = b""
    """What is written or appended."""
    size: int = 0
    """The size after `truncate`."""
    target: Path | None = None
    """The new name after `rename`."""


_observers: list[Callable[[Operation], None]] = []


@contextmanager
def observed(observer: Callable[[Operation], None]) -> Iterator[None]:
    """Within the block `observer` is called before each operation of this process; what it raises prevents the operation."""
    _observers.append(observer)
    try:
        yield
    finally:
        _observers.remove(observer)


def write_whole(file: Path, content: str | bytes) -> None:
    """Writes a file durably and atomically: a reader sees the whole file or what was there before, after a crash too.

    Creates its folder if missing. Several processes may write the same content concurrently. Raises OSError.
    """
    make_folder(file.parent)
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        write(partial, content.encode("utf-8") if isinstance(content, str) else content)
        sync(partial)
        rename(partial, file)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(file.parent)


def make_folder(folder: Path) -> None:
    """Creates a folder and its parents durably, where they are missing. Raises OSError."""
    if not folder.is_dir():
        make_folder(folder.parent)
        with suppress(FileExistsError):
            make_new_folder(folder)


def make_new_folder(folder: Path) -> None:
    """Creates a folder durably. Raises FileExistsError if there is anything of that name, OSError."""
    _announce(Operation("make_folder", folder))
    folder.mkdir()
    sync_folder(folder.parent)


def write(file: Path, data: bytes) -> None:
    """Creates or replaces a file, without syncing it."""
    _announce(Operation("write", file, data))
    file.write_bytes(data)


def append(file: Path, data: bytes) -> None:
    """Appends and syncs; the first append to a new file syncs its folder as well. Raises OSError; a part of `data` may
    have been written then."""
    is_new = not file.exists()
    _announce(Operation("append", file, data))
    with file.open("ab", buffering=0) as handle:
        written = 0
        while written < len(data):
            written += handle.write(data[written:])
    sync(file)
    if is_new:
        sync_folder(file.parent)


def truncate(file: Path, size: int) -> None:
    """Cuts a file to its first `size` bytes and syncs it."""
    _announce(Operation("truncate", file, size=size))
    os.truncate(file, size)
    sync(file)


def rename(path: Path, target: Path) -> None:
    """Renames a file or folder, replacing a file of that name; durable after `sync_folder` of the target's folder."""
    _announce(Operation("rename", path, target=target))
    path.replace(target)


def remove(path: Path) -> None:
    """Removes a file, or a folder with its contents, if it exists."""
    _announce(Operation("remove", path))
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sync(file: Path) -> None:
    """Waits until the file's content is on the disk, also where another library has written it."""
    _announce(Operation("sync", file))
    _fsync(file)


def sync_folder(folder: Path) -> None:
    """Waits until the names in the folder are on the disk. Windows has no such call, and needs none."""
    _announce(Operation("sync_folder", folder))
    if os.name == "posix":
        _fsync(folder)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _announce(operation: Operation) -> None:
    for observer in tuple(_observers):
        observer(operation)
