"""Commands of this program as forks of one process that has imported what each of them imports (`fork_server`)."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from prerl_spec.process.children import die_with_parent

SERVER = ("-P", "-m", "prerl_spec.process.fork_server")


class ForkServer:
    """The process, started with the first run that is asked of it, and ended by `close`, with all that still run."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *SERVER],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # A run that is then started without it says what is wrong.
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
        self._left = b""
        self._codes: dict[int, int] = {}
        self._begun: list[int] = []
        self._has_imported = False
        self._is_gone = False

    def wait_for_imports(self) -> None:
        """Until what the server has imported can no longer change, or it has ended."""
        while not self._has_imported and not self._is_gone:
            self._hear(wait=True)

    def start(self, words: Sequence[str], log: Path) -> int | None:
        """The process id of a new run; None if the server has ended, and there is none."""
        request = json.dumps({"words": list(words), "log": str(log)}).encode() + b"\n"
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(request)
        while not self._begun and not self._is_gone:
            self._hear(wait=True)
        return self._begun.pop() if self._begun else None

    def exit_code(self, run: int) -> int | None:
        """Of a run; all of them are killed with the server."""
        self._hear(wait=False)
        return self._codes.get(run, -signal.SIGKILL if self._is_gone else None)

    def close(self) -> None:
        """Ends the server."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def _hear(self, *, wait: bool) -> None:
        assert self._process.stdout is not None
        answers = self._process.stdout.fileno()
        while not self._is_gone and select.select([answers], [], [], None if wait else 0)[0]:
            got = os.read(answers, 65536)
            self._is_gone = not got
            *lines, self._left = (self._left + got).split(b"\n")
            for line in lines:
                self._note(json.loads(line))
            wait = False

    def _note(self, message: Mapping[str, Any]) -> None:
        if "begun" in message:
            self._begun.append(message["begun"])
            self._codes.pop(message["begun"], None)  # of an earlier run, whose number it got
        elif "imported" in message:
            self._has_imported = True
        else:
            self._codes[message["ended"]] = message["code"]


class ForkedCommand:
    """One of its runs, with the part of `subprocess.Popen` that a study uses."""

    def __init__(self, server: ForkServer, pid: int) -> None:
        self._server = server
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._server.exit_code(self.pid)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Raises ProcessLookupError for a run that has just ended."""
        if self.poll() is None:
            os.kill(self.pid, number)
