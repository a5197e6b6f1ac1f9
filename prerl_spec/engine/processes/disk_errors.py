"""What a full disk or a read-only folder means for a run: it ends with words, and what is committed stands."""

from collections.abc import Iterator
from contextlib import contextmanager

from safetensors import SafetensorError

from prerl_spec.errors import RunFailed


@contextmanager
def translate_disk_errors(what: str) -> Iterator[None]:
    """Raises RunFailed where the file system refuses; safetensors wraps such errors in its own."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise RunFailed(
            f"{what} cannot be written: {error}",
            hint="free space, or make the folder writable: the same command goes on from the last checkpoint",
        ) from error
