"""Translates file-system errors (a full disk, a read-only folder) into RunFailed."""

from collections.abc import Iterator
from contextlib import contextmanager

from safetensors import SafetensorError

from prerl_spec.errors import RunFailed


@contextmanager
def translate_disk_errors(what: str) -> Iterator[None]:
    """Inside, a failed write raises RunFailed; safetensors wraps OSError in an exception of its own."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise RunFailed(
            f"{what} cannot be written: {error}",
            hint="free space on the disk or make the folder writable, then re-run the same command to resume",
        ) from error
