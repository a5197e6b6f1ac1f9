"""The trainer's end of a verifier's worker process: non-blocking requests and replies, deadlines, kill."""

import json
import math
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from prerl_spec.engine.batches.verify_worker import frame

SECONDS_TO_START = 120.0
"""Importing sympy on a loaded machine is slow."""

MAX_REPLY_BYTES = 2**16


class WorkerProcess:
    """One worker process and the trainer's end of its socket.

    `place` is the index of its current item, `reply` the reply for it, `fault` the reason why the worker is unusable.
    """

    def __init__(self, opening: bytes) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "prerl_spec.engine.batches.verify_worker", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **_environment()},
                start_new_session=True,
            )
        ours.setblocking(False)
        self.socket = ours
        self.outgoing = bytearray(opening)
        self.incoming = bytearray()
        self.deadline = time.monotonic() + SECONDS_TO_START
        self.is_ready = False
        self.is_over = False
        self.num_verified = 0
        self.place: int | None = None
        self.reply: Mapping[str, Any] | None = None
        self.fault: str | None = None
        self._num_requests = 0

    @property
    def is_idle(self) -> bool:
        return self.is_ready and not self.is_over and self.place is None

    def submit(self, place: int, response: str, gold: str, seconds_allowed: float) -> None:
        self.place = place
        self._num_requests += 1
        self.outgoing += frame({"id": self._num_requests, "response": response, "gold": gold})
        self.deadline = time.monotonic() + seconds_allowed

    def finish(self) -> None:
        """Marks the current item as done."""
        self.place, self.reply = None, None
        self.num_verified += 1

    def exchange(self) -> None:
        """Sends and receives without blocking; sets `fault` if the process has ended or broke the protocol."""
        try:
            if self.outgoing:
                del self.outgoing[: self.socket.send(self.outgoing)]
        except BlockingIOError:
            pass
        except OSError:
            self._closed()
            return
        try:
            part = self.socket.recv(MAX_REPLY_BYTES)
        except BlockingIOError:
            return
        except OSError:
            part = b""
        if not part:
            self._closed()
            return
        self.incoming += part
        self._take_frame()

    def _take_frame(self) -> None:
        if len(self.incoming) < 4:
            return
        size = int.from_bytes(self.incoming[:4], "big")
        if size > MAX_REPLY_BYTES or len(self.incoming) > 4 + size:
            self._protocol_error()
        elif len(self.incoming) == 4 + size:
            body = bytes(self.incoming[4:])
            self.incoming.clear()
            try:
                message = json.loads(body)
            except ValueError:
                message = None
            self._handle(message)

    def _handle(self, message: Any) -> None:
        if not isinstance(message, dict):
            self._protocol_error()
        elif not self.is_ready:
            if message.get("ready") is True:
                self.is_ready = True
            else:
                self.kill()
                self.fault = str(message.get("fault", "its first message was not `ready`"))
        elif self.place is None or message.get("id") != self._num_requests:
            self._protocol_error()
        else:
            self.reply = message

    def _protocol_error(self) -> None:
        self.kill()
        self.fault = "the worker sent an unexpected message"

    def _closed(self) -> None:
        """Handles a closed socket: the process has died or is about to."""
        self.kill(seconds_to_die=1.0)
        code = self._process.returncode
        died = f"died of signal {-code} ({signal.strsignal(-code)})" if code < 0 else f"exited with {code}"
        self.fault = f"the worker {died}"

    def kill(self, seconds_to_die: float = 0.0) -> None:
        """Kills the process and its children, waits for it, and closes the socket."""
        if self.is_over:
            return
        self.is_over = True
        if seconds_to_die:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds_to_die)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self.socket.close()


def active(workers: Sequence[WorkerProcess]) -> list[WorkerProcess]:
    """Waits until a worker can send or receive, or until the first deadline; returns the workers that can."""
    alive = [w for w in workers if not w.is_over]
    if not alive:
        return []
    with selectors.DefaultSelector() as selector:
        for worker in alive:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if worker.outgoing else 0)
            selector.register(worker.socket, events, worker)
        first = min((w.deadline for w in alive if not w.is_idle), default=math.inf)
        seconds = None if first == math.inf else max(0.0, first - time.monotonic())
        return [key.data for key, _ in selector.select(seconds)]


def _environment() -> dict[str, str]:
    """The trainer's module path (with -P: without the worker's working directory), and one thread per library: the
    thread pools of numeric libraries would fill a worker's address space on a machine with many cores."""
    path = os.pathsep.join(p or os.getcwd() for p in sys.path)
    return {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
