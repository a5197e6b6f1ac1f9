"""A verifier's process seen from the trainer: asked, listened to without ever waiting, and killed."""

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
"""Importing sympy on a loaded machine takes its time."""

MAX_ANSWER_BYTES = 2**16


class WorkerProcess:
    """One process and the trainer's end of its socket.

    `place` is the number of the item it was asked about, `answer` what came back, `fault` why it is of no more use.
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
        self.num_judged = 0
        self.place: int | None = None
        self.answer: Mapping[str, Any] | None = None
        self.fault: str | None = None
        self._num_asked = 0

    @property
    def is_idle(self) -> bool:
        return self.is_ready and not self.is_over and self.place is None

    def ask(self, place: int, response: str, gold: str, seconds_allowed: float) -> None:
        self.place = place
        self._num_asked += 1
        self.outgoing += frame({"id": self._num_asked, "response": response, "gold": gold})
        self.deadline = time.monotonic() + seconds_allowed

    def finish(self) -> None:
        """Takes the item off the worker."""
        self.place, self.answer = None, None
        self.num_judged += 1

    def exchange(self) -> None:
        """Sends and receives what can go without waiting; a process that ended or babbles is a fault."""
        try:
            if self.outgoing:
                del self.outgoing[: self.socket.send(self.outgoing)]
        except BlockingIOError:
            pass
        except OSError:
            self._gone()
            return
        try:
            part = self.socket.recv(MAX_ANSWER_BYTES)
        except BlockingIOError:
            return
        except OSError:
            part = b""
        if not part:
            self._gone()
            return
        self.incoming += part
        self._take_frame()

    def _take_frame(self) -> None:
        if len(self.incoming) < 4:
            return
        size = int.from_bytes(self.incoming[:4], "big")
        if size > MAX_ANSWER_BYTES or len(self.incoming) > 4 + size:
            self._babbles()
        elif len(self.incoming) == 4 + size:
            body = bytes(self.incoming[4:])
            self.incoming.clear()
            try:
                message = json.loads(body)
            except ValueError:
                message = None
            self._understand(message)

    def _understand(self, message: Any) -> None:
        if not isinstance(message, dict):
            self._babbles()
        elif not self.is_ready:
            if message.get("ready") is True:
                self.is_ready = True
            else:
                self.kill()
                self.fault = str(message.get("fault", "it began with something else than `ready`"))
        elif self.place is None or message.get("id") != self._num_asked:
            self._babbles()
        else:
            self.answer = message

    def _babbles(self) -> None:
        self.kill()
        self.fault = "the worker sent what it was not asked for"

    def _gone(self) -> None:
        """The process closed its end: it has died or is about to."""
        self.kill(seconds_to_die=1.0)
        code = self._process.returncode
        died = f"died of signal {-code} ({signal.strsignal(-code)})" if code < 0 else f"exited with {code}"
        self.fault = f"the worker {died}"

    def kill(self, seconds_to_die: float = 0.0) -> None:
        """Ends the process and what it started, waits for it, and closes the socket."""
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
    """The workers that can send or receive now, after waiting for one of them or for the first deadline."""
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
    """The trainer's own module path (with -P: not that of the folder a worker starts in), and one thread each: the
    arithmetic libraries' thread pools alone would fill a worker's address space on a machine of many cores."""
    path = os.pathsep.join(p or os.getcwd() for p in sys.path)
    return {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
