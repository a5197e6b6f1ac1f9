"""Chrome traces of a step's stages, by torch.profiler: one file per stage, for Perfetto and chrome://tracing.

Bounded: a stage that reports progress is traced for its first seconds, one that does not only if it is short; the trace
of a whole step of a large model would be gigabytes. Verification is not traced: it runs in other processes.
"""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from prerl_spec.engine.run.phase_runner import Clock

TRACED_STAGES = ("sample", "train")
TRACED_SECONDS = 5.0
"""Traced seconds of a stage that reports progress; a small model on a CPU produces 40 MB of events in that time, 3 MB
compressed."""
SILENT_SECONDS = 60.0
"""A stage that reports no progress is traced if it took no longer than this."""


class Tracer:
    """Traces stages into `folder / PHASE-STAGE.json.gz`; call `tick` with every progress report."""

    def __init__(self, folder: Path, phase: str, seconds: Mapping[str, float], ticked: frozenset[str]) -> None:
        self._folder = folder
        self._phase = phase
        self._stages = {
            s for s in TRACED_STAGES if 0 < seconds.get(s, 0.0) <= SILENT_SECONDS or s in ticked
        }  # a stage of 0 s did not run
        self._open: profile | None = None
        self._begun = 0.0
        self._file = folder

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Traces the block, at most until the first tick after TRACED_SECONDS; each stage once."""
        if name not in self._stages:
            yield
            return
        self._stages.remove(name)
        self._begin(self._folder / f"{self._phase}-{name}.json.gz")
        try:
            yield
        finally:
            self._end()

    def tick(self) -> None:
        if self._open is not None and time.perf_counter() - self._begun > TRACED_SECONDS:
            self._end()

    def _begin(self, file: Path) -> None:
        # Without this Kineto prints a banner to stderr.
        os.environ.setdefault("KINETO_LOG_LEVEL", "6")
        file.parent.mkdir(exist_ok=True)
        gpu = [ProfilerActivity.CUDA] if torch.cuda.is_available() else []
        self._file, self._begun = file, time.perf_counter()
        self._open = profile(activities=[ProfilerActivity.CPU, *gpu])
        self._open.start()

    def _end(self) -> None:
        if self._open is not None:
            traced, self._open = self._open, None
            traced.stop()
            traced.export_chrome_trace(str(self._file))


class TracingClock(Clock):
    """Times the stages of a step and traces them; traced stages are slower, so these times are not representative."""

    def __init__(self, tracer: Tracer) -> None:
        super().__init__()
        self._tracer = tracer

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        with super().__call__(stage), self._tracer.stage(stage):
            yield
