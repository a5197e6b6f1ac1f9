"""The process that a worker's replies come from: how long it has waited for a core, and its end. Linux.

Its process id is the one that the kernel attaches to each message, translated into the trainer's namespace: what a worker says
about itself is not believed.
"""

import os
import signal
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress

_CREDENTIALS = struct.Struct("3i")
ANCILLARY_BYTES = socket.CMSG_SPACE(_CREDENTIALS.size)
_NANOSECONDS = 1e-9


def ask_for_senders(connection: socket.socket) -> None:
    """Has the kernel attach the sender's process id to each message."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)


def sender(ancillary: Sequence[tuple[int, int, bytes]]) -> int | None:
    """The sender's process id in a message's ancillary data; None if it has none."""
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS) and len(data) == _CREDENTIALS.size:
            return int(_CREDENTIALS.unpack(data)[0])
    return None


class ServingProcess:
    """A process by its id. A process that has ended is no error: it has waited for 0 s, and killing it does nothing."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._handle = self._schedule = -1
        with suppress(OSError):
            self._handle = os.pidfd_open(pid)
        with suppress(OSError):
            self._schedule = os.open(f"/proc/{pid}/schedstat", os.O_RDONLY | os.O_CLOEXEC)

    @property
    def can_be_killed(self) -> bool:
        return self._handle >= 0

    def seconds_waited(self) -> float:
        """How long its main thread could have run and had no core, since it began; 0 where the kernel does not say."""
        try:
            _, waited, _ = os.pread(self._schedule, 128, 0).split()
        except (OSError, ValueError):
            return 0.0
        return int(waited) * _NANOSECONDS

    def kill(self) -> None:
        """Kills this process and no other, even if its id has been given to another one by now."""
        with suppress(OSError):
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    def close(self) -> None:
        for descriptor in (self._handle, self._schedule):
            if descriptor >= 0:
                os.close(descriptor)
        self._handle = self._schedule = -1
