"""A warmed-up worker serves in copies of itself: another copy costs milliseconds, importing sympy again a second or two.

Only a process that a copy has whole may do so: a thread, a child process or an open file of the verifier (a connection to a
judge, half-way through a reply) would be shared with the copy that was killed.
"""

import os
import signal
from typing import NoReturn

from prerl_spec.engine.verification.confinement import adopt_orphans

_is_copying = False


def is_copying() -> bool:
    """Whether the fork at hand makes a copy, which serves on; any other child is the verifier's own."""
    return _is_copying


def open_files() -> frozenset[str]:
    """The numbers of this process's open files; raises OSError where the kernel does not list them."""
    names = os.listdir("/proc/self/fd")
    # The listing itself is one of them, closed by now.
    return frozenset(name for name in names if os.path.lexists(f"/proc/self/fd/{name}"))


def can_be_copied(files_before: frozenset[str]) -> bool:
    """Whether a copy of this process lacks nothing: one thread, no child process, no file opened since `files_before`."""
    try:
        return len(os.listdir("/proc/self/task")) == 1 and not _has_children() and open_files() <= files_before
    except OSError:
        return False


def continue_in_a_copy() -> bool:
    """Returns True in a copy of this process, and again in a new copy whenever the current one is killed with SIGKILL. If it
    ends otherwise, or leaves a process of its own behind, this process ends as it did. False if there can be no copy."""
    adopt_orphans()
    try:
        copy = _copy()
    except OSError:
        return False
    while copy:
        _, status = os.waitpid(copy, 0)
        was_killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        if not was_killed or _has_children():
            _end_as(status)
        copy = _copy()
    return True


def _copy() -> int:
    """Forks: 0 in the copy."""
    global _is_copying
    _is_copying = True
    try:
        return os.fork()
    finally:
        _is_copying = False


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _end_as(status: int) -> NoReturn:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        os._exit(128 + number)
    os._exit(os.WEXITSTATUS(status))
