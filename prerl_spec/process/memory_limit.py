"""The limit of a child process's address space. Without effect on Windows, which has none."""

import sys


def limit_memory(num_bytes: int) -> None:
    """Limits this process's address space; a hard limit that is lower (`ulimit -v`) stays, since nobody but root can raise it.

    Raises OSError or ValueError where the kernel refuses, on Linux: other kernels may not limit an address space.
    """
    if sys.platform == "win32":
        return
    import resource

    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    limit = num_bytes if hard == resource.RLIM_INFINITY else min(num_bytes, hard)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    except (OSError, ValueError):
        if sys.platform == "linux":
            raise
