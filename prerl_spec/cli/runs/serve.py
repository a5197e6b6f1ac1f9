"""`prerl-spec serve SPEC`: starts the servers that a spec's sampler uses, and stops them on a stop signal."""

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

from prerl_spec.cli.shared.diagnostics import print_text
from prerl_spec.cli.shared.option_values import file_path
from prerl_spec.cli.shared.overrides import add_overrides, overrides
from prerl_spec.compiler.compile import compile_spec
from prerl_spec.compiler.estimates.prerequisites import require_train
from prerl_spec.compiler.estimates.server_health import server_state
from prerl_spec.compiler.graph import Graph
from prerl_spec.errors import EnvironmentUnmet, PrerlError, RunFailed, UsageError
from prerl_spec.process.stop_signals import SECONDS_APART, arrived, leave_closed_terminal, on_stop
from prerl_spec.registry.kinds.model import LoadedModel, ModelSite
from prerl_spec.registry.kinds.sampler import ServedModel, ServedSampler, ServerProcess
from prerl_spec.situations import writing

START_SECONDS = 1800.0
"""Enough for a large model on several GPUs, compiled for the first time."""

END_SECONDS = 20.0
"""From SIGTERM to SIGKILL."""

LOOK_SECONDS = 0.5
SECONDS_BETWEEN_POLLS = 0.05


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments to `parser`."""
    parser.add_argument("spec", type=file_path, metavar="SPEC", help="the spec that will be run against the servers")
    add_overrides(parser)


def run(arguments: argparse.Namespace) -> int:
    """Serves until a signal arrives. Raises UsageError for a spec without servers, EnvironmentUnmet if a server fails to
    start, RunFailed if one exits later."""
    compiled = compile_spec(arguments.spec, **overrides(arguments))
    print_text(compiled.warnings, compiled.sources)
    require_train("`prerl-spec serve`")
    with TemporaryDirectory(prefix="prerl-spec-") as spare:
        processes = _processes(compiled.graph, Path(spare))
        with _stop_events() as (stop, at_once), _running(processes, at_once) as running:
            if _await_health(running, stop):
                for process in processes:
                    print(f"ready: {process.url}  (log: {process.log})", flush=True)
                print("press Ctrl-C to stop the servers", file=sys.stderr)
                _await_end(running, stop)
    print("stopped", file=sys.stderr)
    return 0


class Running:
    """A started server process. It leads its own process group, so that its workers are stopped with it."""

    def __init__(self, process: ServerProcess) -> None:
        self.process = process
        with writing(process.log, "set push_dir to a folder that can be written"):
            process.log.parent.mkdir(parents=True, exist_ok=True)
            log = process.log.open("ab")
        with log:
            self._child = subprocess.Popen(
                process.command,
                env={**os.environ, **process.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def require_alive(self, error: type[PrerlError]) -> None:
        """Raises `error`, quoting the end of the log, if the server has exited."""
        code = self._child.poll()
        if code is not None:
            raise error(
                f"the server {self.process.url} exited {_exit_reason(code, self.process.log)}",
                hint=f"see {self.process.log}; restart the server, then re-run the same `run` command to resume",
            )

    def ask_to_end(self) -> None:
        self._signal(signal.SIGTERM)

    def end(self, deadline: float, at_once: threading.Event) -> None:
        """Waits for the server to exit, until the deadline or the event; then kills its process group, including workers
        that outlive it."""
        while self._child.poll() is None and time.monotonic() < deadline and not at_once.wait(SECONDS_BETWEEN_POLLS):
            pass
        self._signal(signal.SIGKILL)
        self._child.wait()
        for file in self.process.left:
            file.unlink(missing_ok=True)

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self._child.pid, number)
        except ProcessLookupError:
            return


@contextmanager
def _running(processes: Sequence[ServerProcess], at_once: threading.Event) -> Iterator[list[Running]]:
    running: list[Running] = []
    try:
        for process in processes:
            for note in process.notes:
                print(f"{process.url}: {note}", file=sys.stderr)
            running.append(Running(process))
        yield running
    finally:
        for one in running:
            one.ask_to_end()
        deadline = time.monotonic() + END_SECONDS
        for one in running:
            one.end(deadline, at_once)


@contextmanager
def _stop_events() -> Iterator[tuple[threading.Event, threading.Event]]:
    """Two events: the first stop signal sets one, a second both."""
    stop, at_once = threading.Event(), threading.Event()
    first = 0.0

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal first
        leave_closed_terminal()
        if not stop.is_set():
            first = time.monotonic()
            stop.set()
        elif time.monotonic() - first >= SECONDS_APART:
            at_once.set()

    with on_stop(ask):
        if arrived():
            stop.set()
        yield stop, at_once


def _await_health(running: Sequence[Running], stop: threading.Event) -> bool:
    """Waits until every server responds; False if a signal arrives first."""
    deadline = time.monotonic() + START_SECONDS
    waiting = list(running)
    while waiting and not stop.wait(LOOK_SECONDS):
        for one in running:
            one.require_alive(EnvironmentUnmet)
        waiting = [one for one in waiting if not server_state(one.process.url)[0]]
        if waiting and time.monotonic() > deadline:
            raise EnvironmentUnmet(
                f"the server {waiting[0].process.url} is not ready after {START_SECONDS:.0f} s",
                hint=f"see {waiting[0].process.log} for its progress",
            )
    return not waiting


def _await_end(running: Sequence[Running], stop: threading.Event) -> None:
    while not stop.wait(LOOK_SECONDS):
        for one in running:
            one.require_alive(RunFailed)


def _processes(graph: Graph, spare: Path) -> list[ServerProcess]:
    """The server processes of every sampler that uses servers, one per URL."""
    named = [graph.sampler, *(phase.sampler for phase in graph.phases)]
    samplers = [n.component for n in named if n is not None and isinstance(n.component, ServedSampler)]
    if not samplers:
        raise UsageError(
            "no sampler of this spec uses servers", hint='write sampler = { use = "vllm_server", urls = [...] }'
        )
    served = ServedModel(graph.model.component, lambda: _loaded(graph, spare))
    found: list[ServerProcess] = []
    asked: set[str] = set()
    for sampler in samplers:
        if urls := [url for url in sampler.urls if url not in asked]:
            found += sampler.servers(served, urls)
            asked.update(urls)
    return found


def _loaded(graph: Graph, spare: Path) -> LoadedModel:
    from prerl_spec.engine.policy.tokenizer_files import tokenizer_files, write_tokenizer

    def tokenizer_folder(name: str) -> Path:
        write_tokenizer(tokenizer_files(name, graph.data[name].component), spare)
        return spare

    site = ModelSite(seed=graph.run.seed, device="cpu", tokenizer_folder=tokenizer_folder)
    return graph.model.component.build(site)


def _exit_reason(code: int, log: Path) -> str:
    """How a process exited: by a signal, else with a code and the last line of its log that reports an error."""
    if code < 0:
        return f"on signal {signal.Signals(-code).name}"
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if "Error" in line]
    return f"with code {code}: {(errors or lines or ['its log is empty'])[-1][-300:]}"
