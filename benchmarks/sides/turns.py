"""A side's process and the harness take turns: a line on stdin asks for a step, a line of JSON in a pipe tells what it took.

Only the standard library: it runs in every side's own environment.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Turns:
    """`wait()` before and `report(…)` after each step. The pipe is the file that SIDE_REPLIES numbers: libraries print."""

    def __init__(self) -> None:
        self._replies = os.fdopen(int(os.environ["SIDE_REPLIES"]), "w")
        self.stages: dict[str, float] = {}
        self._begin = (0.0, 0.0)

    def wait(self) -> None:
        """Returns when the next step is asked for; ends the process when nobody asks any more."""
        if not sys.stdin.readline():
            os._exit(0)
        _reset_peak()
        self.stages = {}
        self._begin = time.process_time(), time.perf_counter()

    def report(self, **more: Any) -> None:
        """CPU seconds, seconds, those of the stages, and peak memory since `wait`, in MiB."""
        cpu, wall = time.process_time() - self._begin[0], time.perf_counter() - self._begin[1]
        said = {"cpu": cpu, "wall": wall, "stages": dict(self.stages), "peak_mib": _peak_mib(), **more}
        self._replies.write(json.dumps(said) + "\n")
        self._replies.flush()

    @contextmanager
    def stage(self, name: str) -> Any:
        """Counts the CPU seconds inside as those of a stage."""
        begin = time.process_time()
        try:
            yield
        finally:
            self.stages[name] = self.stages.get(name, 0.0) + time.process_time() - begin

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, counted as a stage."""

        def timing(*arguments: Any, **named: Any) -> Any:
            with self.stage(name):
                return function(*arguments, **named)

        return timing


def _reset_peak() -> None:
    """Linux only; elsewhere the peak is that of the whole process so far."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _peak_mib() -> float:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
