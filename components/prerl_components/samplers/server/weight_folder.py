"""Weight versions as folders shared by trainer and servers: each appears atomically under its name."""

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
    """A folder with one subfolder per version; one process `writes`, the others only take part in gathering.

    Versions are named `weights-…`. The folder belongs to one run; versions left by an earlier process of the run are
    removed on opening.
    """

    def __init__(self, root: Path, *, writes: bool) -> None:
        self._root = root
        self._writes = writes
        self.clear()
        if writes:
            self._as_run_failure(lambda: root.mkdir(parents=True, exist_ok=True))

    def write(self, version: str, tensors: Iterable[tuple[str, Tensor]], dtype: torch.dtype) -> Path:
        """Writes a version in the servers' compute dtype and returns its folder. A collective call.

        Raises RunFailed if it cannot be written.
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

        self._as_run_failure(write)
        return whole

    def keep_only(self, version: str) -> None:
        """Removes every other version."""
        for old in self._versions():
            if old.name != version:
                shutil.rmtree(old, ignore_errors=True)

    def clear(self) -> None:
        """Removes every version, complete or partial."""
        if not self._writes:
            return
        for old in self._versions():
            shutil.rmtree(old, ignore_errors=True)

    def _versions(self) -> Iterator[Path]:
        # By name: a push_dir of the spec may contain other files.
        return (old for pattern in ("weights-*", ".tmp-weights-*") for old in list(self._root.glob(pattern)))

    def _as_run_failure(self, work: Callable[[], None]) -> None:
        try:
            work()
        except (OSError, SafetensorError) as error:
            raise RunFailed(
                f"the weights for the servers cannot be written to {self._root}: {error}",
                hint="free disk space there, or set the sampler's push_dir to another folder shared with the servers",
            ) from error


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
