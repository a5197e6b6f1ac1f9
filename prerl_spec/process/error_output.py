"""Where and how a process writes the error that ends it."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn, TextIO

from prerl_spec.errors import PrerlError
from prerl_spec.known_secrets import without_secrets
from prerl_spec.process.rank_environment import ERRORS, rank

SECONDS_TO_WRITE = 2.0
"""A terminal that is held with Ctrl-S, or a full pipe, blocks a write for ever."""


@contextmanager
def error_stream(*, consequence: bool = False) -> Iterator[TextIO]:
    """Where to write the error of a command: stderr, or a file that `launch` reads. A `consequence` is printed only if no
    process reports a cause."""
    if ERRORS not in os.environ:
        yield sys.stderr
        return
    with error_file(Path(os.environ[ERRORS]), rank(), consequence=consequence).open("a", encoding="utf-8") as file:
        yield file


def error_file(folder: Path, of_rank: int, *, consequence: bool) -> Path:
    return folder / f"{of_rank}.{'consequence' if consequence else 'cause'}"


def print_error(message: str, hint: str | None, code: str | None = None, *, consequence: bool = False) -> None:
    """Writes `error: MESSAGE` and its hint, in the form of a diagnostic."""
    text = f"error[{code}]: {message}" if code else f"error: {message}"
    with error_stream(consequence=consequence) as stream:
        print(without_secrets(text if hint is None else f"{text}\n  = help: {hint}"), file=stream)


def lead_nowhere(descriptor: int) -> None:
    """Replaces a file descriptor by the null device, where its terminal or the reader of its pipe is gone: what is still
    buffered must not fail again, here or when the interpreter ends."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, descriptor)
    os.close(null)


def end_process(error: PrerlError, *, consequence: bool = False) -> NoReturn:
    """Writes the error and ends this process at once with its exit code; may be called in any thread.

    Nothing is cleaned up: for a process whose main thread is inside a call that may never return. What it leaves on disk
    is what SIGKILL would leave.
    """
    last = threading.Timer(SECONDS_TO_WRITE, os._exit, (error.exit_code,))
    last.daemon = True
    last.start()
    with suppress(OSError, ValueError):
        print_error(error.message, error.hint, error.code, consequence=consequence)
        sys.stderr.flush()
    os._exit(error.exit_code)
