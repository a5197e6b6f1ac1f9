"""A verifier that reaches for what is not its own; rebuilt in real worker processes by test_isolation.py."""

import ctypes
import json
import os
import signal
import socket
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Literal

from prerl_spec.sdk import Component, Outcome, Verdict

PIDFD_OPEN, PIDFD_GETFD = 434, 438


def succeeds(misdeed: object, *arguments: object) -> bool:
    try:
        misdeed(*arguments)
    except OSError:
        return False
    return True


class Intruder(Component):
    """Wrong, whatever it is asked; the response names a misdeed, the gold answer its target, the answer what came of it."""

    kind: ClassVar[Literal["verifier"]] = "verifier"
    environment_names: ClassVar[tuple[str, ...]] = ("INTRUDER_MODEL",)

    num_workers: int = 1
    seconds_allowed: float = 20.0
    memory_bytes: int = 2**29

    def judge(self, response: str, gold: str) -> Verdict:
        return Verdict(Outcome.WRONG, 0.0, answer=json.dumps(getattr(self, f"_{response}")(gold)))

    def check_gold(self, gold: str) -> str | None:
        return None

    def _environ(self, gold: str) -> list[str]:
        return [name for name in os.environ if name != "LC_CTYPE"]

    def _read(self, gold: str) -> object:
        return os.environ.get(gold)

    def _kill(self, gold: str) -> bool:
        return succeeds(os.kill, int(gold), signal.SIGKILL)

    def _kill_all(self, gold: str) -> bool:
        """Signals every process that it may signal, but with a signal that does no harm where nobody waits for it."""
        return succeeds(os.kill, -1, signal.SIGURG)

    def _kill_parent(self, gold: str) -> bool:
        succeeds(os.kill, os.getppid(), signal.SIGKILL)
        time.sleep(0.2)
        return True

    def _peek(self, gold: str) -> bool:
        """Whether environment, memory or an open file of a process can be had."""
        pid = os.getppid() if gold == "parent" else int(gold)
        opened = ctypes.CDLL(None).syscall(PIDFD_OPEN, pid, 0)
        stolen = [fd for fd in range(3, 32) if ctypes.CDLL(None).syscall(PIDFD_GETFD, opened, fd, 0) >= 0]
        return bool(stolen) or any(succeeds(self._byte, f"/proc/{pid}/{file}") for file in ("environ", "mem"))

    def _byte(self, file: str) -> None:
        with open(file, "rb", buffering=0) as opened:
            if file.endswith("environ"):
                opened.read(1)

    def _write(self, gold: str) -> list[str]:
        """Which changes below a folder of the test's were possible."""
        folder = Path(gold)
        tries = {
            "create": lambda: (folder / "new").write_text("x"),
            "overwrite": lambda: (folder / "old").write_text("x"),
            "remove": lambda: (folder / "old").unlink(),
            "folder": lambda: (folder / "deep").mkdir(),
            "link": lambda: (folder / "link").symlink_to("old"),
        }
        return [name for name, misdeed in tries.items() if succeeds(misdeed)]

    def _write_own(self, gold: str) -> list[str]:
        places = {name: os.environ[name] for name in ("TMPDIR", "HOME")}
        return [name for name, place in places.items() if succeeds((Path(place) / gold).write_text, gold)]

    def _see_own(self, gold: str) -> bool:
        return (Path(os.environ["TMPDIR"]) / gold).exists()

    def _fill(self, gold: str) -> bool:
        """Whether as many bytes fit into its temporary folder."""
        with open(Path(os.environ["TMPDIR"]) / "large", "wb") as file:
            fits = succeeds(os.posix_fallocate, file.fileno(), 0, int(gold))
        os.unlink(file.name)
        return fits

    def _mount(self, gold: str) -> bool:
        """Whether its file system can be made writable again, also from a new user namespace."""
        libc = ctypes.CDLL(None)
        remounted = libc.mount(None, b"/", None, ctypes.c_ulong(32 | 4096), None) == 0
        if os.fork() == 0:
            libc.unshare(1 << 28 | 1 << 17)
            os._exit(int(libc.mount(None, b"/", None, ctypes.c_ulong(32 | 4096), None) == 0))
        return remounted or os.wait()[1] != 0

    def _tcp(self, gold: str) -> bool:
        with socket.socket() as mine:
            mine.settimeout(5)
            return succeeds(mine.connect, ("127.0.0.1", int(gold)))

    def _udp(self, gold: str) -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mine:
            return succeeds(mine.sendto, b"x", ("127.0.0.1", int(gold)))

    def _daemon(self, gold: str) -> bool:
        """Starts a process in a session of its own, whose parent has ended."""
        if os.fork() == 0:
            os.setsid()
            subprocess.Popen(["sleep", gold], start_new_session=True)
            os._exit(0)
        os.wait()
        return True

    def _guess(self, gold: str) -> bool:
        """Says "right" to every id that one might guess."""
        self._say_right()
        time.sleep(0.2)
        return True

    def _guess_from_child(self, gold: str) -> bool:
        """The same, from a child that has whatever a fork inherits, and whatever it can take from its parent."""
        child = os.fork()
        if child == 0:
            with suppress(BaseException):
                opened = ctypes.CDLL(None).syscall(PIDFD_OPEN, os.getppid(), 0)
                for fd in range(3, 32):
                    ctypes.CDLL(None).syscall(PIDFD_GETFD, opened, fd, 0)
                self._say_right()
            os._exit(0)
        os.waitpid(child, 0)
        time.sleep(0.2)
        return True

    def _guess_later(self, gold: str) -> bool:
        threading.Timer(float(gold), self._say_right).start()
        return True

    def _nap(self, gold: str) -> bool:
        time.sleep(float(gold))
        return True

    def _say_right(self) -> None:
        for guess in (1, 2, 3, 4, 5, "1", "", None):
            body = json.dumps({"id": guess, "outcome": "right", "score": 1.0, "answer": None, "detail": ""}).encode()
            for fd in range(3, 64):
                with suppress(OSError):
                    os.write(fd, len(body).to_bytes(4, "big") + body)


class Connected(Intruder):
    """The same, with the network that it asks for."""

    uses_network: ClassVar[bool] = True
