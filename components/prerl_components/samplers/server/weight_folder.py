"""Versions of the weights as folders that trainer and servers see: each whole under its name, or not there."""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor

from prerl_components.samplers.shared.weight_files import write_weights
from prerl_spec.sdk import RunFailed


class WeightFolder:
    """One folder with a folder a version below it; one process `writes`, the others only take part in gathering.

    Versions are named `weights-…`. The folder is one run's own: those that an earlier process of it left there go when it
    is opened.
    """

    def __init__(self, root: Path, *, writes: bool) -> None:
        self._root = root
        self._writes = writes
        self.clear()
        if writes:
            self._translated(lambda: root.mkdir(parents=True, exist_ok=True))

    def write(self, version: str, tensors: Iterable[tuple[str, Tensor]], dtype: torch.dtype) -> Path:
        """Writes a version, in the dtype that it is computed with; gives its folder. A collective call.

        Raises RunFailed where it cannot be written.
        """
        whole, partial = self._root / version, self._root / f".tmp-{version}"
        cast = ((name, tensor.to(dtype)) for name, tensor in tensors)
        if not self._writes:
            write_weights(partial, cast, writes=False)
            return whole

        def write() -> None:
            partial.mkdir()
            for file in write_weights(partial, cast, writes=True):
                _to_disk(file)
            _to_disk(partial)
            partial.rename(whole)
            _to_disk(self._root)

        self._translated(write)
        return whole

    def keep_only(self, version: str) -> None:
        """Removes every other version."""
        for old in self._versions():
            if old.name != version:
                shutil.rmtree(old, ignore_errors=True)

    def clear(self) -> None:
        """Removes every version, whole or not."""
        if not self._writes:
            return
        for old in self._versions():
            shutil.rmtree(old, ignore_errors=True)

    def _versions(self) -> Iterator[Path]:
        # By name: a folder that the spec names may hold what is not ours.
        return (old for pattern in ("weights-*", ".tmp-weights-*") for old in list(self._root.glob(pattern)))

    def _translated(self, work: Callable[[], None]) -> None:
        try:
            work()
        except (OSError, SafetensorError) as error:
            raise RunFailed(
                f"the weights for the servers cannot be written to {self._root}: {error}",
                hint="make room there, or name another folder that trainer and servers see as the sampler's push_dir",
            ) from error


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
