"""What a process asks of the disk, in order: each fsync with the file's size at that moment, each rename."""

import os
from pathlib import Path

import pytest


class DiskOrder:
    """Notes fsyncs and renames while they really happen."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.synced: list[tuple[Path, int]] = []
        self.renamed: list[tuple[Path, Path, int]] = []
        """From, to, and how many fsyncs had been asked for before."""
        fsync, rename, replace = os.fsync, Path.rename, Path.replace

        def noting_fsync(descriptor: int) -> None:
            fsync(descriptor)
            self.synced.append((Path(os.readlink(f"/proc/self/fd/{descriptor}")), os.fstat(descriptor).st_size))

        def noting_rename(source: Path, target: Path) -> Path:
            self.renamed.append((source, Path(target), len(self.synced)))
            return rename(source, target)

        def noting_replace(source: Path, target: Path) -> Path:
            self.renamed.append((source, Path(target), len(self.synced)))
            return replace(source, target)

        monkeypatch.setattr(os, "fsync", noting_fsync)
        monkeypatch.setattr(Path, "rename", noting_rename)
        monkeypatch.setattr(Path, "replace", noting_replace)
