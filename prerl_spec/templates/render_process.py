"""Our end of one process that renders templates: a request and its replies, a deadline on the clock, the end."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import IO, Any

from prerl_spec.errors import EnvironmentUnmet
from prerl_spec.process.json_frames import frame_of_json, read_frame

_KEPT_VARIABLES = (
    "DYLD_LIBRARY_PATH", "LD_LIBRARY_PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONHOME", "PYTHONPYCACHEPREFIX", "SYSTEMROOT", "TZ"
)  # fmt: skip
"""What a bare interpreter needs of the environment, and the time zone of `strftime_now`."""


class RenderProcess:
    """A started process. Raises EnvironmentUnmet if it cannot be started."""

    def __init__(self, memory_bytes: int) -> None:
        # Without site: no .pth file is executed, and the path is already ours.
        command = [sys.executable, "-P", "-S", "-m", "prerl_spec.templates.render_worker", str(memory_bytes)]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_environment(),
                start_new_session=True,
            )
        except OSError as error:
            raise EnvironmentUnmet(
                f"the process that renders templates cannot be started: {error.strerror}",
                hint="free memory or processes on this machine",
            ) from error
        assert self._process.stdin is not None, "asked for above"
        assert self._process.stdout is not None, "asked for above"
        self._requests: IO[bytes] = self._process.stdin
        self._replies: IO[bytes] = self._process.stdout
        self.is_overdue = False

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def ask(self, request: bytes, count: int, seconds: float) -> list[Mapping[str, Any]]:
        """The replies to a request (JSON): fewer than `count` if the process ended, or was ended after so many seconds."""
        replies: list[Mapping[str, Any]] = []
        watch = threading.Timer(seconds, self._end)
        watch.daemon = True
        watch.start()
        try:
            with suppress(BrokenPipeError):
                self._requests.write(frame_of_json(request))
                self._requests.flush()
            while len(replies) < count and (reply := read_frame(self._replies)) is not None:
                replies.append(reply)
        finally:
            watch.cancel()
        return replies

    def close(self) -> int:
        """Ends the process if it has not ended; its exit code, the negative signal number if a signal ended it."""
        self._process.kill()
        with suppress(BrokenPipeError):
            self._requests.close()
        self._replies.close()
        return self._process.wait()

    def how_it_ended(self) -> str:
        """In words, for a process that was not ended by `close`."""
        code = self._process.wait()
        if code < 0 and sys.platform != "win32":
            return f"was ended by {signal.Signals(-code).name}"
        return f"exited with {code}"

    @property
    def used_up_its_time(self) -> bool:
        """Whether the kernel ended it for its CPU time."""
        return sys.platform != "win32" and self._process.wait() == -signal.SIGPROF

    def _end(self) -> None:
        self.is_overdue = True
        self._process.kill()


def _environment() -> dict[str, str]:
    """Our import path, and nothing else of ours: no secret is in the process's environment."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return {**kept, "PYTHONPATH": os.pathsep.join(part or os.getcwd() for part in sys.path)}
