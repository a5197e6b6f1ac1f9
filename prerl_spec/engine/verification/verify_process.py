"""The trainer's end of a verifier's worker process: non-blocking requests and replies, deadlines, kill."""

import fcntl
import json
import math
import os
import secrets
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from prerl_spec.engine.verification.serving_process import ANCILLARY_BYTES, ServingProcess, ask_for_senders, sender
from prerl_spec.engine.verification.waker import Waker
from prerl_spec.engine.verification.worker_needs import WorkerNeeds
from prerl_spec.process.json_frames import frame

SECONDS_TO_START = 120.0
"""Importing sympy on a loaded machine is slow."""

SECONDS_TO_END = 10.0
"""A session that has not killed its worker and itself by then is killed."""

MOST_WAITING = 20
"""So many times its seconds may an item take by the clock: a program that a verifier runs, and that leaves it no core, ends."""

MAX_REPLY_BYTES = 2**16


class WorkerProcess:
    """One worker process, isolated as `needs` says, and the trainer's end of its socket.

    `place` is the index of its current item, `reply` the reply for it, `fault` the reason why the worker is unusable.
    `is_fresh`: its present copy has finished nothing yet; `has_served`: it has been ready before.
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
                [sys.executable, "-P", "-m", "prerl_spec.engine.verification.verify_session", json.dumps(order)],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=needs.environment(self._folder),
                start_new_session=True,
            )
        ours.setblocking(False)
        ask_for_senders(ours)
        self.socket = ours
        self.outgoing = bytearray(opening)
        self.incoming = bytearray()
        self.deadline = time.monotonic() + SECONDS_TO_START
        self.is_ready = False
        self.is_over = False
        self.is_fresh = True
        self.has_served = False
        self.place: int | None = None
        self.reply: Mapping[str, Any] | None = None
        self.fault: str | None = None
        self._request = ""
        self._renews = False
        self._serving: ServingProcess | None = None
        self.seconds_allowed = self._began = self._waited_before = 0.0

    @property
    def is_idle(self) -> bool:
        return self.is_ready and not self.is_over and self.place is None

    def submit(self, place: int, request: Mapping[str, str], seconds_allowed: float) -> None:
        """Sends an item. Its id cannot be guessed: a reply that was made before it, or by a process that did not read it,
        ends the worker."""
        self.place = place
        self._request = secrets.token_hex(16)
        self.outgoing += frame({"id": self._request, **request})
        # Before its time begins: whoever submits it may get no turn for a while.
        self._send()
        self._began, self._waited_before = time.monotonic(), self._waited()
        self.seconds_allowed = seconds_allowed
        self.deadline = self._began + seconds_allowed

    @property
    def seconds_taken(self) -> float:
        """How long the current item has been worked at: the time in which its process ran or slept of its own accord, not
        that in which it waited for a core, which depends on what else the machine does."""
        # It may have waited since it was sent, a moment before its time began.
        return max(0.0, time.monotonic() - self._began - (self._waited() - self._waited_before))

    def is_out_of_time(self) -> bool:
        """Whether the current item has had its seconds; if not, puts off the deadline by those in which it had no core."""
        if time.monotonic() <= self.deadline:
            return False
        if time.monotonic() > self._began + self.seconds_allowed * MOST_WAITING:
            return True
        left = self.seconds_allowed - self.seconds_taken
        self.deadline = time.monotonic() + left
        return left <= 0

    def finish(self) -> None:
        """Marks the current item as done."""
        self.place, self.reply = None, None
        self.is_fresh = False

    def renew(self) -> bool:
        """Kills the copy that serves, whatever it does; another one takes its place, as fresh as after the warm-up. False,
        and nothing is done, where only the whole process can be replaced."""
        has_read_all = not self.outgoing and not _unread_bytes(self.socket) if self._renews else False
        if self.is_over or not self.is_ready or self._serving is None or not has_read_all:
            return False
        self._serving.kill()
        self.place, self.reply = None, None
        self.is_ready, self.is_fresh = False, True
        self.deadline = time.monotonic() + SECONDS_TO_START
        return True

    def _waited(self) -> float:
        return 0.0 if self._serving is None else self._serving.seconds_waited()

    def exchange(self) -> None:
        """Sends and receives without blocking; sets `fault` if the process has ended or broke the protocol."""
        self._send()
        if self.is_over:
            return
        try:
            part, ancillary, *_ = self.socket.recvmsg(MAX_REPLY_BYTES, ANCILLARY_BYTES)
        except BlockingIOError:
            return
        except OSError:
            part, ancillary = b"", []
        if not part:
            self._closed()
            return
        self.incoming += part
        self._take_frames(sender(ancillary))

    def _send(self) -> None:
        try:
            if self.outgoing:
                del self.outgoing[: self.socket.send(self.outgoing)]
        except BlockingIOError:
            pass
        except OSError:
            self._closed()

    def _take_frames(self, pid: int | None) -> None:
        """Only a copy that was killed may have sent something before `ready`: one frame comes at a time else."""
        while len(self.incoming) >= 4 and not self.is_over:
            size = int.from_bytes(self.incoming[:4], "big")
            is_renewed = self.has_served and not self.is_ready
            if size > MAX_REPLY_BYTES or (len(self.incoming) > 4 + size and not is_renewed):
                self._protocol_error()
            elif len(self.incoming) < 4 + size:
                return
            else:
                body = bytes(self.incoming[4 : 4 + size])
                del self.incoming[: 4 + size]
                try:
                    message = json.loads(body)
                except (ValueError, RecursionError):
                    message = None
                self._handle(message, pid)

    def _handle(self, message: Any, pid: int | None) -> None:
        if not isinstance(message, dict):
            self._protocol_error()
        elif message.get("ready") is True and not self.is_ready:
            self._become_ready(pid, renews=message.get("renews") is True)
        elif message.get("ready") is True:
            self.kill()
            self.fault = "the worker died of signal 9 (Killed)"
        elif not self.is_ready:
            if not self.has_served:
                self.kill()
                self.fault = str(message.get("fault", "its first message was not `ready`"))
        elif self.place is None or message.get("id") != self._request:
            self._protocol_error()
        else:
            self.reply = message

    def _become_ready(self, pid: int | None, *, renews: bool) -> None:
        self._forget_serving()
        self._serving = None if pid is None else ServingProcess(pid)
        self._renews = renews and self._serving is not None and self._serving.can_be_killed
        self.is_ready = self.has_served = True

    def _forget_serving(self) -> None:
        if self._serving is not None:
            self._serving.close()

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
        self._forget_serving()


def active(workers: Sequence[WorkerProcess], waker: Waker | None = None) -> list[WorkerProcess]:
    """Waits until a worker can send or receive, until the first deadline, or until the waker wakes; returns the workers that
    can."""
    alive = [w for w in workers if not w.is_over]
    if not alive and waker is None:
        return []
    with selectors.DefaultSelector() as selector:
        for worker in alive:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if worker.outgoing else 0)
            selector.register(worker.socket, events, worker)
        if waker is not None:
            selector.register(waker.heard, selectors.EVENT_READ)
        first = min((w.deadline for w in alive if not w.is_idle), default=math.inf)
        seconds = None if first == math.inf else max(0.0, first - time.monotonic())
        ready = [key.data for key, _ in selector.select(seconds)]
    if waker is not None:
        waker.clear()
    return [worker for worker in ready if worker is not None]


def _private_folder() -> str:
    """A new folder for what the verifier writes. Not below /dev or /run, of which a worker sees others."""
    hidden = Path(tempfile.gettempdir()).resolve().is_relative_to
    return tempfile.mkdtemp(prefix="prerl-verifier-", dir="/tmp" if hidden("/dev") or hidden("/run") else None)


def _unread_bytes(connection: socket.socket) -> int:
    """The bytes that we have sent and the other end has not read."""
    return int(struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, b"\0" * 4))[0])
