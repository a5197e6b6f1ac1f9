"""What a user's machine has refused: a path that cannot be written, memory that is used up, a package that does not load.

Commands translate the exceptions of their own outputs; `situation_of` is the last resort for all others, so that none of
them is reported as a bug.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prerl_spec.errors import EnvironmentUnmet, PrerlError, RunFailed, UsageError

_IMPOSSIBLE_PATH = frozenset(
    (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL)
)
"""Nothing can be written at such a path by anybody: below a file, in /proc, a name that is too long."""

_NO_MEMORY = (
    "cannot allocate memory",
    "can't allocate memory",
    "failed to map segment from shared object",
    "failed to allocate",
    "not enough memory",
    "out of memory",
    "unable to allocate",
    "std::bad_alloc",
    "can't start new thread",
)
"""What the C library, numpy, torch and CUDA say without raising MemoryError, in lower case."""

OURS = ("prerl_spec", "prerl_components")
"""Our top-level packages."""


@contextmanager
def writing(what: str | os.PathLike[str], hint: str) -> Iterator[None]:
    """Inside, an OSError of writing `what` becomes the error of `not_written`."""
    try:
        yield
    except OSError as error:
        raise not_written(what, error, hint) from error


def require_writable(folder: Path, hint: str) -> None:
    """Creates the folder if it is missing, and tries whether a file can be written there, before anything slow begins.

    Raises what `not_written` returns.
    """
    probe = folder / f".writable-{os.getpid()}"
    with writing(folder, hint):
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()


def not_written(what: str | os.PathLike[str], error: OSError, hint: str) -> PrerlError:
    """UsageError for a path that cannot exist (below a file, in /proc), EnvironmentUnmet for one that this user, or this
    disk, cannot write now."""
    reason = (error.strerror or str(error)).lower()
    of_another = error.filename is not None and os.fspath(error.filename) != os.fspath(what)
    place = f" ({os.fsdecode(error.filename)})" if of_another else ""
    kind = UsageError if error.errno in _IMPOSSIBLE_PATH else EnvironmentUnmet
    return kind(f"{os.fspath(what)} cannot be written: {reason}{place}", hint=hint)


def no_memory_left(error: BaseException) -> BaseException | None:
    """Of this exception and those it follows from, the first that says that a process or device has no memory left."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        if isinstance(found, MemoryError) or (isinstance(found, OSError) and found.errno == errno.ENOMEM):
            return found
        if isinstance(found, SystemError) and _memory_limit():
            return found  # an extension module has not handled an allocation that failed: "error return without exception set"
        # torch.OutOfMemoryError is a RuntimeError; torch is not loaded here.
        if isinstance(found, RuntimeError | ImportError | OSError):
            text = str(found).lower()
            if any(words in text for words in _NO_MEMORY):
                return found
        found = found.__cause__ or found.__context__
    return None


def _memory_limit() -> str:
    """The limit of this process's address space in words, "" without one."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return ""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return "" if limit == resource.RLIM_INFINITY else f" (this process may use {limit >> 20:,} MiB: `ulimit -v`)"


def situation_of(error: BaseException) -> PrerlError | None:
    """The error to report for an exception that nothing has translated; None for a bug of ours."""
    if (cause := no_memory_left(error)) is not None:
        return EnvironmentUnmet(
            f"out of memory{_memory_limit()}: {_first_line(cause)}",
            hint="raise the limit, or free memory; `prerl-spec plan SPEC` estimates what a run needs",
        )
    if (
        isinstance(error, ImportError)
        and not isinstance(error, ModuleNotFoundError)
        and (error.name or "").split(".")[0] not in OURS
    ):
        package = f"the package that provides `{error.name}`" if error.name else "an installed package"
        return EnvironmentUnmet(
            f"{package} is installed but cannot be imported: {_first_line(error)}",
            hint="`prerl-spec doctor --deep` reports what is wrong; reinstall the package",
        )
    if isinstance(error, UnicodeEncodeError) and any("\ud800" <= c <= "\udfff" for c in error.object):
        return EnvironmentUnmet(
            f"{_around(error.object, error.start)} contains half of a surrogate pair, which is not text",
            hint="write it in UTF-8: a name, a path or an environment variable in another encoding is read like this",
        )
    if isinstance(error, OSError) and error.errno is not None:
        place = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
        kind = UsageError if error.errno == errno.ENAMETOOLONG else EnvironmentUnmet
        return kind(
            f"the system has refused an operation: {place}{(error.strerror or _first_line(error)).lower()}",
            hint="check that the path exists, is writable and has free space; --traceback shows what was attempted",
        )
    return None


@contextmanager
def as_run_failure() -> Iterator[None]:
    """Inside, what `situation_of` knows becomes RunFailed: the run had begun, and resumes from its last checkpoint."""
    try:
        yield
    except PrerlError:
        raise
    except Exception as error:
        situation = situation_of(error)
        if situation is None:
            raise
        less = "free memory, or lower tokens_per_pass or group_size" if no_memory_left(error) else situation.hint
        raise RunFailed(
            situation.message, hint=f"{less}; then re-run the same command to resume from the last checkpoint"
        ) from error


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _around(text: str, index: int) -> str:
    """The word that contains the character, escaped."""
    start = max(index - 40, 1 + max(text.rfind(blank, 0, index) for blank in " \n"))
    return ascii(text[start : index + 20].split("\n")[0])
