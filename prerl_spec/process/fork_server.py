"""The process that runs of a study are forked from: `python -P -m prerl_spec.process.fork_server`.

It has imported what every run imports, some 4 s of CPU, and has done nothing else: no thread, no random number, no device. It
says `{"imported": true}` on stdout then. A request on stdin, `{"words": […], "log": PATH}`, is answered by `{"begun": PID}`,
and the end of that process by `{"ended": PID, "code": CODE}`. It ends with its input, and its children with it.
"""

import gc
import json
import os
import select
import signal
from importlib import import_module
from typing import Any

from prerl_spec.process.children import die_with_parent

PRELOADED = ("prerl_spec.cli.runs.run", "prerl_spec.engine.run.run", "prerl_spec.report.page.page")
"""By name, as `python -m prerl_spec` would be started: nothing of it is this room's to know."""


def main() -> int:
    """Serves until the end of its input; in each child the exit code of its command."""
    for module in PRELOADED:
        import_module(module)
    # What is never freed need not be looked through, nor be copied for that, in every child.
    gc.collect()
    gc.freeze()
    # A script's background jobs ignore it: a run would miss one that came before it has handlers of its own.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    words = _serve()
    return 0 if words is None else import_module("prerl_spec.cli.main").main(words)


def _serve() -> list[str] | None:
    """Forks a child for each request. Returns in the child what it is to do, and None in the server."""
    replies = os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 1)
    woken, wakes = os.pipe()
    for end in (woken, wakes):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    _tell(replies, {"imported": True})
    server, left = os.getpid(), b""
    while True:
        ready, _, _ = select.select([0, woken], [], [])
        if woken in ready:
            os.read(woken, 512)
        _tell_ended(replies)
        if 0 not in ready:
            continue
        got = os.read(0, 65536)
        if not got:
            return None
        *lines, left = (left + got).split(b"\n")
        for line in lines:
            request = json.loads(line)
            child = os.fork()
            if not child:
                for end in (replies, woken, wakes):
                    os.close(end)
                _become(request["log"], nowhere, server)
                return list(request["words"])
            _tell(replies, {"begun": child})


def _become(log: str, nowhere: int, server: int) -> None:
    """In the child: what a process started with this log would have, and no more."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    die_with_parent()
    if os.getppid() != server:  # it was gone before the line above
        os._exit(-signal.SIGKILL & 0xFF)
    os.dup2(nowhere, 0)
    said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for number in (1, 2):
        os.dup2(said, number)
    os.close(said)
    os.close(nowhere)


def _tell_ended(replies: int) -> None:
    while True:
        try:
            child, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not child:
            return
        _tell(replies, {"ended": child, "code": os.waitstatus_to_exitcode(status)})


def _tell(replies: int, message: dict[str, Any]) -> None:
    os.write(replies, json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    raise SystemExit(main())
