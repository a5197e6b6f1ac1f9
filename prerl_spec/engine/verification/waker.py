"""Ends another thread's wait for its sockets."""

import socket
from contextlib import suppress


class Waker:
    """A pair of sockets: the waiting thread also waits for `heard`, and `wake()` makes it readable."""

    def __init__(self) -> None:
        self.heard, self._ours = socket.socketpair()
        for end in (self.heard, self._ours):
            end.setblocking(False)

    def wake(self) -> None:
        # A full buffer wakes as well.
        with suppress(BlockingIOError):
            self._ours.send(b"\0")

    def clear(self) -> None:
        """To be called by the thread that was woken, before it looks at what there is to do."""
        with suppress(BlockingIOError):
            while self.heard.recv(4096):
                pass

    def close(self) -> None:
        self.heard.close()
        self._ours.close()
