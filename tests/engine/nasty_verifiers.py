"""Verifiers that misbehave in one way each when the response says so; rebuilt in real worker processes by the tests."""

import ctypes
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from typing import ClassVar, Literal

from prerl_spec.sdk import Component, Outcome, Verdict

LEAK: list[bytes] = []

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
        if gold == "raise":
            raise ValueError("no idea")
        while gold == "hang":
            pass
        if gold == "exit":
            os._exit(3)
        if gold == "pid":
            return str(os.getpid())
        return "it is empty" if not gold else None

    def _pid(self, gold: str) -> Verdict:
        """Tells copies of one worker apart: they share its namespace."""
        return Verdict(Outcome.RIGHT, 1.0, answer=str(os.getpid()))

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
        # Reserved and not written: to write so much takes longer, on a machine at work, than an item may.
        LEAK.append(bytes(2**28))
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

    def _half_right(self, gold: str) -> Verdict:
        return Verdict(Outcome.RIGHT, 0.0)

    def _all_wrong(self, gold: str) -> Verdict:
        return Verdict(Outcome.WRONG, 1.0)

    def _graded_unparsable(self, gold: str) -> Verdict:
        return Verdict(Outcome.UNPARSABLE, 0.5)

    def _text(self, gold: str) -> Verdict:
        return Verdict(Outcome.RIGHT, "1.0")  # type: ignore[arg-type]

    def _true(self, gold: str) -> Verdict:
        return Verdict(Outcome.RIGHT, True)

    def _scoreless(self, gold: str) -> Verdict:
        return Verdict(Outcome.WRONG, None)

    def _late_with_score(self, gold: str) -> Verdict:
        return Verdict(Outcome.TIMEOUT, 0.0)

    def _outcome_of_text(self, gold: str) -> Verdict:
        return Verdict("right", 1.0)  # type: ignore[arg-type]

    def _shot(self, gold: str) -> Verdict:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("not reached")

    def _asleep(self, gold: str) -> Verdict:
        time.sleep(1e6)
        raise AssertionError("not reached")

    def _slow(self, gold: str) -> Verdict:
        """`gold` seconds of work, whatever else the machine does."""
        began = time.process_time()
        while time.process_time() - began < float(gold):
            pass
        return Verdict(Outcome.RIGHT, 1.0, answer=str(os.getpid()))

    def _hang_with_child(self, gold: str) -> Verdict:
        """The child sleeps for `gold` seconds."""
        subprocess.Popen(["sleep", gold])
        return self._hang(gold)

    def _hang_once(self, gold: str) -> Verdict:
        """Too slow at the first try, in time at the second: a file of the worker's own folder remembers."""
        if os.path.exists(seen := os.path.join(tempfile.gettempdir(), gold)):
            return Verdict(Outcome.RIGHT, 1.0)
        with open(seen, "w"):
            time.sleep(30)
        raise AssertionError("not reached")


class Exemplary(Nasty):
    """Has an example, and says what an answer's timeout trains."""

    seconds_allowed: float = 0.3
    right_example: ClassVar[tuple[str, str]] = ("4", "4")
    on_timeout: Literal["mask", "unparsable"] = "mask"


class Down(Nasty):
    """Judges nothing in time, not even its own example."""

    seconds_allowed: float = 0.3
    right_example: ClassVar[tuple[str, str]] = ("4", "4")

    def judge(self, response: str, gold: str) -> Verdict:
        time.sleep(1e6)
        raise AssertionError("not reached")


class Threaded(Nasty):
    """Cannot be copied: a thread would be missing."""

    seconds_allowed: float = 0.3
    right_example: ClassVar[tuple[str, str]] = ("4", "4")

    def warm_up(self) -> None:
        threading.Thread(target=time.sleep, args=(1e6,), daemon=True).start()


class Stillborn(Nasty):
    """Cannot be warmed up."""

    def warm_up(self) -> None:
        raise RuntimeError("the reference solution is missing")
