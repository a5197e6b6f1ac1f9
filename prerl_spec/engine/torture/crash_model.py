"""What a disk may hold after a crash: synced content and synced names for certain, anything else in any subset.

A file's content is durable up to its last sync; a name is durable once its folder was synced. Everything later may be there
or not, independently: an appended tail whole, in part, as zeros, or not at all; a rename, a new name or a removal done or
undone. This is harsher than any journaling file system.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from random import Random
from typing import Literal, NamedTuple

from prerl_spec.storage.disk import Operation


class Step(NamedTuple):
    """An operation with paths relative to the run's output folder; `seen` is a file's whole content at a sync."""

    operation: Operation
    seen: bytes | None = None


@dataclass
class _File:
    content: bytes = b""
    synced: bytes = b""


@dataclass
class _Folder:
    names: "dict[str, _File | _Folder]" = field(default_factory=dict)
    durable: "dict[str, _File | _Folder]" = field(default_factory=dict)
    pending: "list[_Change]" = field(default_factory=list)

    def change(self, change: "_Change") -> None:
        change.apply(self.names)
        self.pending.append(change)


@dataclass(frozen=True)
class _Change:
    """A change of a folder's names that is not durable yet."""

    kind: Literal["add", "rename", "remove"]
    name: str
    node: "_File | _Folder | None" = None
    new_name: str = ""

    def apply(self, names: "dict[str, _File | _Folder]") -> None:
        if self.kind == "add" and self.node is not None:
            names[self.name] = self.node
        elif self.name in names:
            node = names.pop(self.name)
            if self.kind == "rename":
                names[self.new_name] = node


class CrashModel:
    """A file system that remembers what is durable."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._root = _Folder()
        for step in steps:
            self._apply(step)

    def write_crashed(self, target: Path, random: Random) -> None:
        """Writes one of the states that a crash may leave into the folder `target`."""
        _write(self._root, target, random)

    def _apply(self, step: Step) -> None:
        operation = step.operation
        path = PurePosixPath(operation.path.as_posix())
        if operation.kind == "sync_folder":
            folder = self._folder(path)
            folder.durable, folder.pending = dict(folder.names), []
        elif operation.kind == "make_folder":
            self._folder(path)
        elif operation.kind == "rename":
            assert operation.target is not None
            assert operation.target.parent == operation.path.parent, "renamed within its folder"
            self._folder(path.parent).change(_Change("rename", path.name, new_name=operation.target.name))
        elif operation.kind == "remove":
            self._folder(path.parent).change(_Change("remove", path.name))
        else:
            self._change_content(self._file(path), step)

    def _change_content(self, file: _File, step: Step) -> None:
        operation = step.operation
        if operation.kind == "write":
            file.content = operation.data
        elif operation.kind == "append":
            file.content += operation.data
        elif operation.kind == "truncate":
            file.content = file.content[: operation.size]
        else:
            assert operation.kind == "sync"
            assert step.seen is not None
            file.content = file.synced = step.seen

    def _file(self, path: PurePosixPath) -> _File:
        folder = self._folder(path.parent)
        if path.name not in folder.names:
            folder.change(_Change("add", path.name, _File()))
        found = folder.names[path.name]
        assert isinstance(found, _File)
        return found

    def _folder(self, path: PurePosixPath) -> _Folder:
        folder = self._root
        for name in path.parts:
            if name not in folder.names:
                folder.change(_Change("add", name, _Folder()))
            found = folder.names[name]
            assert isinstance(found, _Folder)
            folder = found
        return folder


def _write(folder: _Folder, target: Path, random: Random) -> None:
    target.mkdir(parents=True, exist_ok=True)
    names = dict(folder.durable)
    for change in folder.pending:
        if random.random() < 0.5:
            change.apply(names)
    for name, node in names.items():
        if isinstance(node, _Folder):
            _write(node, target / name, random)
        else:
            (target / name).write_bytes(_content(node, random))


def _content(file: _File, random: Random) -> bytes:
    if file.content == file.synced or random.random() < 0.25:
        return file.synced
    if file.synced.startswith(file.content):
        return file.content
    if not file.content.startswith(file.synced):
        return random.choice([file.content, b""])
    tail = file.content[len(file.synced) :]
    return file.synced + random.choice([tail, tail[: random.randrange(len(tail))], b"\0" * len(tail)])
