"""The process between the trainer and a verifier: confines the worker before any of its code runs, and ends it whole.

`python -m prerl_spec.engine.verification.verify_session ORDER`. It stays outside of what it confines, runs no code of a
verifier and reads no message: the worker it forks answers the trainer itself. When the trainer has closed its end of the
socket or is gone, or when the worker has ended, it kills every descendant, removes the worker's folder, and ends as the
worker did. In a PID namespace the worker's parent is a first process that reaps, so that the namespace dies with it.
"""

import json
import os
import select
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from prerl_spec.engine.verification import confinement
from prerl_spec.engine.verification.verify_copies import is_copying
from prerl_spec.engine.verification.verify_worker import serve
from prerl_spec.process.json_frames import frame

SECONDS_TO_END = 5.0
"""A killed process may take this long to leave the kernel."""


def main() -> None:
    """Starts the worker that ORDER describes: {"socket": fd, "level", "folder", "memory_bytes", "uses_network"}."""
    order = json.loads(sys.argv[1])
    trainer = os.getppid()
    connection = socket.socket(fileno=order["socket"])
    # Child processes of a verifier must not inherit the socket.
    connection.set_inheritable(False)
    reader, writer = os.pipe()
    try:
        if sys.platform == "linux":
            confinement.adopt_orphans()
            confinement.die_with_parent(signal.SIGHUP)
        if order["level"] == "namespaces":
            confinement.enter_namespaces(uses_network=order["uses_network"])
        else:
            confinement.make_private_folders(order["folder"])
        if sys.platform == "linux":
            # This process has the worker's socket as well. Not before it has mapped its user in a new namespace.
            confinement.hide_memory()
    except OSError as error:
        _refuse(connection, error)
    child = os.fork()
    if child == 0:
        os.close(reader)
        os.setpgid(0, 0)
        _first(connection, order, writer) if order["level"] == "namespaces" else _worker(connection, order)
    os.close(writer)
    status = _outlived(child, connection, trainer)
    _end(child, whole=order["level"] == "namespaces")
    if status is not None and order["level"] == "namespaces":
        told = os.read(reader, 4)
        status = int.from_bytes(told, "little") if told else status
    shutil.rmtree(order["folder"], ignore_errors=True)
    _end_like(0 if status is None else os.waitstatus_to_exitcode(status))


def _first(connection: socket.socket, order: dict[str, Any], writer: int) -> NoReturn:
    """Process 1 of the namespace: waits for the worker and reaps what it leaves behind; tells how the worker ended."""
    try:
        confinement.die_with_parent(signal.SIGKILL)
        confinement.make_files_readable_only(order["folder"], order["memory_bytes"], uses_network=order["uses_network"])
    except OSError as error:
        _refuse(connection, error)
    worker = os.fork()
    if worker == 0:
        os.close(writer)
        _worker(connection, order)
    # Its end of the socket would keep the trainer from seeing that the worker has closed its own.
    connection.close()
    while True:
        pid, status = os.wait()
        if pid == worker:
            os.write(writer, status.to_bytes(4, "little"))
            os._exit(0)


def _worker(connection: socket.socket, order: dict[str, Any]) -> NoReturn:
    """Serves until the trainer closes the socket; the interpreter's own farewell would wait for a verifier's threads."""
    try:
        if order["level"] == "landlock":
            confinement.deny_writes(order["folder"], uses_network=order["uses_network"])
        confinement.limit_files(order["memory_bytes"])
        if sys.platform == "linux":
            confinement.give_up_privileges()
            confinement.die_with_parent(signal.SIGKILL)
    except OSError as error:
        _refuse(connection, error)
    # A process that a verifier forks runs a response's code perhaps: the worker's answers are not its business.
    os.register_at_fork(after_in_child=lambda: None if is_copying() else connection.close())
    code = 1
    try:
        serve(connection)
        code = 0
    finally:
        os._exit(code)


def _refuse(connection: socket.socket, error: OSError) -> NoReturn:
    connection.sendall(frame({"fault": f"the worker cannot be isolated: {error}"}))
    os._exit(1)


def _outlived(child: int, connection: socket.socket, trainer: int) -> int | None:
    """The child's wait status when it has ended, None when the trainer has gone or wants no more."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGHUP):
        signal.signal(number, lambda number, frame: None)
    events = select.poll()
    events.register(connection, 0)
    events.register(reader, select.POLLIN)
    while True:
        while (reaped := _reaped()) is not None:
            if reaped[0] == child:
                return reaped[1]
        if connection.fileno() in dict(events.poll()) or os.getppid() != trainer:
            return None
        with suppress(BlockingIOError):
            os.read(reader, 4096)


def _reaped() -> tuple[int, int] | None:
    """A child that has ended and its wait status, None if there is none."""
    try:
        pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (pid, status) if pid else None


def _end(child: int, *, whole: bool) -> None:
    """Kills the child and every descendant of this process, and waits for them. `whole`: they die with the child."""
    deadline = time.monotonic() + SECONDS_TO_END
    found: Callable[[], list[int]] = (lambda: [child]) if whole else (lambda: _descendants(os.getpid()) or [child])
    while time.monotonic() < deadline:
        # A process that is stopped forks no more: the second look finds what was born during the first.
        for number in (signal.SIGKILL,) if whole else (signal.SIGSTOP, signal.SIGKILL):
            for pid in found():
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, number)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.001)


def _descendants(root: int) -> list[int]:
    """Every process below `root` that /proc shows."""
    parent_of = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent_of[int(folder.name)] = int(
                (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[1]
            )
    below = {root}
    while more := {pid for pid, parent in parent_of.items() if parent in below} - below:
        below |= more
    return sorted(below - {root})


def _end_like(code: int) -> NoReturn:
    """Ends with an exit code, or of the signal that a negative one means."""
    if code < 0:
        with suppress(OSError, ValueError):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    main()
