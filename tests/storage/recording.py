"""Records the storage operations of a block, for the crash model."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from prerl_spec.engine.torture.crash_model import CrashModel, Step
from prerl_spec.storage.disk import Operation, observed


@contextmanager
def recorded(root: Path) -> Iterator[list[Step]]:
    """Within the block the list grows with each operation below `root`, paths relative to it."""
    steps: list[Step] = []

    def note(operation: Operation) -> None:
        target = None if operation.target is None else operation.target.relative_to(root)
        relative = operation._replace(path=operation.path.relative_to(root), target=target)
        steps.append(Step(relative, operation.path.read_bytes() if operation.kind == "sync" else None))

    with observed(note):
        yield steps


def crashed(steps: list[Step], target: Path, count: int = 24) -> Iterator[Path]:
    """Folders as a crash after these steps may leave them, in different subsets."""
    for seed in range(count):
        folder = target / f"crash-{seed}"
        CrashModel(steps).write_crashed(folder, Random(seed))
        yield folder
