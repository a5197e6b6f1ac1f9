"""A Chrome trace of a step's stages, by torch.profiler: one file a stage, readable in Perfetto and chrome://tracing.

Bounded: a stage that reports its progress is traced for its first seconds, one that does not only where it is short; a
whole step of a large model would be gigabytes. Verification is left out: it happens in other processes.
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
"""Of a stage that reports its progress; a small model on a CPU makes 40 MB of events in that time, compressed 3."""
SILENT_SECONDS = 60.0
"""A stage that reports none is traced where it took no longer than this."""


class Tracer:
    """Traces stages into `folder / PHASE-STAGE.json.gz`; `tick` is to be called with every report of progress."""

    def __init__(self, folder: Path, phase: str, seconds: Mapping[str, float], ticked: frozenset[str]) -> None:
        self._folder = folder
        self._phase = phase
        self._stages = {
            s for s in TRACED_STAGES if 0 < seconds.get(s, 0.0) <= SILENT_SECONDS or s in ticked
        }  # what took no time has nothing in it
        self._open: profile | None = None
        self._begun = 0.0
        self._file = folder

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Traces the block, at most until a tick says that it is enough; each stage once."""
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
        # The tracer below torch announces itself on stderr otherwise.
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
    """The clock of a step whose stages are traced as they are timed; such times are no measure of other steps."""

    def __init__(self, tracer: Tracer) -> None:
        super().__init__()
        self._tracer = tracer

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        with super().__call__(stage), self._tracer.stage(stage):
            yield
