"""Verifiers that misbehave in one way each when the response says so; rebuilt in real worker processes by the tests."""

import ctypes
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from typing import ClassVar, Literal

from prerl_spec.sdk import Component, Outcome, Verdict

LEAK: list[bytearray] = []

WORKER = secrets.token_hex(8)
"""Tells workers apart: in PID namespaces of their own they have the same number."""


class Nasty(Component):
    """Judges `response == gold`, unless the response is the name of a misdeed."""

    kind: ClassVar[Literal["verifier"]] = "verifier"

    num_workers: int = 1
    seconds_allowed: float = 1.0
    memory_bytes: int = 2**30

    def judge(self, response: str, gold: str) -> Verdict:
        misdeed = getattr(self, f"_{response}", None)
        if misdeed is not None:
            return misdeed(gold)
        right = response == gold
        return Verdict(Outcome.RIGHT if right else Outcome.WRONG, float(right), answer=response)

    def check_gold(self, gold: str) -> str | None:
        return None

    def _worker(self, gold: str) -> Verdict:
        return Verdict(Outcome.RIGHT, 1.0, answer=WORKER)

    def _modules(self, gold: str) -> Verdict:
        return Verdict(Outcome.RIGHT, 1.0, answer=" ".join(sorted({m.partition(".")[0] for m in sys.modules})))

    def _thread(self, gold: str) -> Verdict:
        return Verdict(Outcome.RIGHT, 1.0, answer=threading.current_thread().name)

    def _hang(self, gold: str) -> Verdict:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            pass

    def _nap(self, gold: str) -> Verdict:
        time.sleep(0.3)
        return Verdict(Outcome.RIGHT, 1.0)

    def _raise(self, gold: str) -> Verdict:
        raise ValueError("no idea")

    def _leave(self, gold: str) -> Verdict:
        raise SystemExit(0)

    def _exit(self, gold: str) -> Verdict:
        os._exit(0)

    def _segfault(self, gold: str) -> Verdict:
        ctypes.string_at(0)
        raise AssertionError("not reached")

    def _flood(self, gold: str) -> Verdict:
        line = b"\x00\x00\x00\x10 not for you \n" * 4096
        for _ in range(500):
            os.write(1, line)
            os.write(2, line)
        return Verdict(Outcome.WRONG, 0.0)

    def _forge(self, gold: str) -> Verdict:
        body = json.dumps({"id": 1, "outcome": "right", "score": 1.0, "answer": None, "detail": ""}).encode()
        for stream in (sys.stdout, sys.stderr):
            stream.buffer.write(len(body).to_bytes(4, "big") + body)
            stream.flush()
        print(body.decode())
        subprocess.run(
            [
                sys.executable,
                "-c",
                f"import os\nfor fd in range(3, 64):\n try: os.write(fd, {body!r})\n except OSError: pass",
            ],
            check=False,
            close_fds=False,
        )
        return Verdict(Outcome.WRONG, 0.0)

    def _babble(self, gold: str) -> Verdict:
        for fd in range(3, 256):
            try:
                os.write(fd, b"\xff" * 2**17)
            except OSError:
                continue
        return Verdict(Outcome.RIGHT, 1.0)

    def _hog(self, gold: str) -> Verdict:
        bytearray(2**31)
        return Verdict(Outcome.RIGHT, 1.0)

    def _leak(self, gold: str) -> Verdict:
        LEAK.append(bytearray(2**28))
        return Verdict(Outcome.RIGHT, 1.0)

    def _child(self, gold: str) -> Verdict:
        subprocess.Popen(["sleep", "60"])
        return Verdict(Outcome.RIGHT, 1.0)

    def _essay(self, gold: str) -> Verdict:
        return Verdict(Outcome.RIGHT, 1.0, answer="€" * 10**6, detail="\ud800" * 10**6)

    def _number(self, gold: str) -> Verdict:
        return 1.0  # type: ignore[return-value]

    def _nan(self, gold: str) -> Verdict:
        return Verdict(Outcome.RIGHT, float("nan"))

    def _seven(self, gold: str) -> Verdict:
        return Verdict(Outcome.RIGHT, 7.0)

    def _hang_once(self, gold: str) -> Verdict:
        """Too slow until there is a file `gold`."""
        if not os.path.exists(gold):
            time.sleep(30)
        return Verdict(Outcome.RIGHT, 1.0)


class Stillborn(Nasty):
    """Cannot be warmed up."""

    def warm_up(self) -> None:
        raise RuntimeError("the reference solution is missing")
