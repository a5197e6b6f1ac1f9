"""The trainer's end of a verifier's worker process: non-blocking requests and replies, deadlines, kill."""

import json
import math
import os
import secrets
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from prerl_spec.engine.batches.verify_worker import frame
from prerl_spec.engine.batches.worker_needs import WorkerNeeds

SECONDS_TO_START = 120.0
"""Importing sympy on a loaded machine is slow."""

SECONDS_TO_END = 10.0
"""A session that has not killed its worker and itself by then is killed."""

MAX_REPLY_BYTES = 2**16


class WorkerProcess:
    """One worker process, isolated as `needs` says, and the trainer's end of its socket.

    `place` is the index of its current item, `reply` the reply for it, `fault` the reason why the worker is unusable.
    """

    def __init__(self, opening: bytes, needs: WorkerNeeds) -> None:
        ours, theirs = socket.socketpair()
        self._folder = _private_folder()
        order = {
            "socket": theirs.fileno(),
            "level": needs.level,
            "folder": self._folder,
            "memory_bytes": needs.memory_bytes,
            "uses_network": needs.uses_network,
        }
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "prerl_spec.engine.batches.verify_session", json.dumps(order)],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=needs.environment(self._folder),
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
        self._request = ""

    @property
    def is_idle(self) -> bool:
        return self.is_ready and not self.is_over and self.place is None

    def submit(self, place: int, response: str, gold: str, seconds_allowed: float) -> None:
        """Sends an item. Its id cannot be guessed: a reply that was made before it, or by a process that did not read it,
        ends the worker."""
        self.place = place
        self._request = secrets.token_hex(16)
        self.outgoing += frame({"id": self._request, "response": response, "gold": gold})
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
        elif self.place is None or message.get("id") != self._request:
            self._protocol_error()
        else:
            self.reply = message

    def _protocol_error(self) -> None:
        self.kill()
        self.fault = "the worker sent an unexpected message"

    def _closed(self) -> None:
        """Handles a closed socket: the process has died or is about to."""
        self.kill()
        code = self._process.returncode
        died = f"died of signal {-code} ({signal.strsignal(-code)})" if code < 0 else f"exited with {code}"
        self.fault = f"the worker {died}"

    def kill(self) -> None:
        """Closes the socket, at which the session kills the worker with its descendants, and waits until they are gone."""
        if self.is_over:
            return
        self.is_over = True
        self.socket.close()
        try:
            self._process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


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


def _private_folder() -> str:
    """A new folder for what the verifier writes. Not below /dev or /run, of which a worker sees others."""
    hidden = Path(tempfile.gettempdir()).resolve().is_relative_to
    return tempfile.mkdtemp(prefix="prerl-verifier-", dir="/tmp" if hidden("/dev") or hidden("/run") else None)
