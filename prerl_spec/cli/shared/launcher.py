"""Starts one command in several processes of this machine, with one display, one error message and one exit code.

Like `torchrun`, without its restarts and its reports: the exit codes are those of a run in a single process. Under another
launcher (torchrun, Slurm's srun, MPI) nothing is started here.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from prerl_spec.cli.shared.option_values import positive
from prerl_spec.compiler.estimates.prerequisites import torch_can_use_gpus
from prerl_spec.compiler.hardware import detect_hardware
from prerl_spec.errors import EnvironmentUnmet, Interrupted, RunFailed, UsageError
from prerl_spec.process.children import command_line, die_with_parent, module_path
from prerl_spec.process.error_output import error_file
from prerl_spec.process.rank_environment import ERRORS, FOLDER, is_one_of_several
from prerl_spec.process.stop_signals import (
    RESUME,
    SECONDS_APART,
    SECONDS_TO_END,
    arrived,
    leave_closed_terminal,
    on_stop,
    stopped_twice,
)

SECONDS_TO_FOLLOW = 30.0
"""How long the other processes may run after one has failed; most exit at once, because their connection breaks."""
SECONDS_BETWEEN_LOOKS = 0.05
SECONDS_UNTIL_TOLD = 10.0
"""How long after a signal it is said what the processes are waited for."""


def add_processes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--processes", type=positive, metavar="N", help="run in N processes on this machine")


def processes_to_start(asked: int | None, planned: int) -> int:
    """How many processes this one must start; 1 if it does the work itself.

    `asked` is --processes, `planned` the plan's. Raises UsageError if --processes contradicts a launcher,
    EnvironmentUnmet if there are fewer GPUs than processes, or if srun has started several that know nothing of each other.
    """
    if is_one_of_several():
        world = os.environ.get("WORLD_SIZE")
        if asked is not None and world is not None and str(asked) != world:
            raise UsageError(
                f"--processes {asked} contradicts the launcher, which has started {world}",
                hint="drop --processes under a launcher",
            )
        return 1
    _refuse_unconnected_tasks()
    wanted = planned if asked is None else asked
    gpus = detect_hardware().gpus if wanted > 1 and torch_can_use_gpus() else ()
    if gpus and wanted > len(gpus):
        raise EnvironmentUnmet(
            f"{wanted} processes need one GPU each, but this machine has {len(gpus)}",
            hint=f"use --processes {len(gpus)}",
        )
    return wanted


def _refuse_unconnected_tasks() -> None:
    """Each task of srun would make a run of its own."""
    tasks = os.environ.get("SLURM_STEP_NUM_TASKS", "1")
    if tasks.isdecimal() and int(tasks) > 1:
        raise EnvironmentUnmet(
            f"srun has started {tasks} tasks, but RANK is not set: each would be a run of its own",
            hint="set RANK, LOCAL_RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT in each task, as "
            "examples/slurm/run.sbatch does, or use srun --ntasks=1 with --processes",
        )


def launch(
    command: Sequence[str], processes: int, *, folder: Path | None = None, leave_thread_count: bool = False
) -> int:
    """Runs `prerl-spec COMMAND` in several processes; returns the exit code that a single process would have had.

    `folder` is the run folder that the caller has locked. Stop signals are forwarded to every process; after a second one
    they have SECONDS_TO_END to exit, and are then killed, stopped ones too.
    OMP_NUM_THREADS divides the cores among the processes, unless `leave_thread_count`: runs whose results must not depend
    on the number of processes set their thread count themselves.

    Raises RunFailed if a process was killed, Interrupted if that was done here after a second signal.
    """
    with tempfile.TemporaryDirectory(prefix="prerl-spec-") as errors:
        environment = {**os.environ, **_rendezvous(processes), ERRORS: errors, "PYTHONPATH": module_path()}
        if folder is not None:
            environment[FOLDER] = str(folder)
        if not leave_thread_count:
            environment.setdefault("OMP_NUM_THREADS", str(max(1, detect_hardware().cores // processes)))
        group = _Group(command, processes, environment, Path(errors))
        with group.forwarding_signals():
            group.wait()
        return group.verdict()


class _Group:
    """The worker processes and their exit states."""

    def __init__(self, command: Sequence[str], processes: int, environment: Mapping[str, str], errors: Path) -> None:
        self._errors = errors
        self._forwarded: set[int] = set()
        self._signalled: float | None = None
        """When the first signal arrived."""
        self._signalled_twice = False
        self._deadline = float("inf")
        self._is_told = False
        self._killed: set[int] = set()
        self._ended: list[int] = []
        """Ranks with a non-zero exit code, in the order in which they were seen to exit."""
        self._processes = [self._start(command, rank, environment) for rank in range(processes)]

    def _start(self, command: Sequence[str], rank: int, environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
        line = command_line(command)
        own = {**environment, "RANK": str(rank), "LOCAL_RANK": str(rank)}
        # A new session: otherwise Ctrl-C in a terminal would reach the processes twice, and a second one stops at once.
        if rank == 0:
            return subprocess.Popen(line, env=own, start_new_session=True, preexec_fn=die_with_parent)
        with self._log(rank).open("wb") as log:
            return subprocess.Popen(
                line,
                env=own,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )

    @contextmanager
    def forwarding_signals(self) -> Iterator[None]:
        """Forwards stop signals to every process instead of exiting; on leaving the block, kills the processes left."""
        with on_stop(self._forward):
            try:
                if (number := arrived()) is not None:
                    self._forward(number, None)
                yield
            finally:
                self._kill()

    def _forward(self, number: int, frame: FrameType | None) -> None:
        leave_closed_terminal()
        now = time.monotonic()
        if self._signalled is None:
            self._signalled = now
        elif now - self._signalled >= SECONDS_APART and not self._signalled_twice:
            self._signalled_twice = True
            self._deadline = min(self._deadline, now + SECONDS_TO_END + 1.0)
        self._forwarded.add(number)
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(number)

    def wait(self) -> None:
        """Waits until all processes have exited; after a failure or a second signal, kills those that do not exit in
        time."""
        while any(process.poll() is None for process in self._processes):
            for rank, process in enumerate(self._processes):
                if process.poll() not in (None, 0) and rank not in self._ended:
                    self._ended.append(rank)
                    self._deadline = min(self._deadline, time.monotonic() + SECONDS_TO_FOLLOW)
            if time.monotonic() > self._deadline or (self._ended and self._rest_is_stopped()):
                self._kill()
            self._tell_what_is_waited_for()
            time.sleep(SECONDS_BETWEEN_LOOKS)
        self._ended += [r for r, p in enumerate(self._processes) if p.returncode and r not in self._ended]

    def _rest_is_stopped(self) -> bool:
        """Whether none of the processes that still run could follow those that have ended."""
        left = [process for process in self._processes if process.poll() is None]
        return bool(left) and all(_is_stopped(process.pid) for process in left)

    def _tell_what_is_waited_for(self) -> None:
        """Once, some time after a signal: nothing else would show that it has arrived."""
        if self._is_told or self._signalled is None or time.monotonic() - self._signalled < SECONDS_UNTIL_TOLD:
            return
        self._is_told = True
        left = [r for r, p in enumerate(self._processes) if p.poll() is None]
        stopped = [r for r in left if _is_stopped(self._processes[r].pid)]
        what = (
            f"process {stopped[0]} of {len(self._processes)} is stopped and cannot follow"
            if stopped
            else (f"waiting for {len(left)} of {len(self._processes)} processes to finish and commit what they are at")
        )
        print(f"interrupting: {what}; a second signal ends all of them", file=sys.stderr, flush=True)

    def _kill(self) -> None:
        for rank, process in enumerate(self._processes):
            if process.poll() is None:
                self._killed.add(rank)
                process.kill()
        for process in self._processes:
            process.wait()

    def verdict(self) -> int:
        """Prints the error of the process that failed first, if any, and returns its exit code."""
        if not self._ended:
            return 0
        for rank in self._ended:
            code = self._processes[rank].returncode
            if code < 0 and rank not in self._killed:
                raise self._silent_failure(rank, -code)
        # After a second signal only a cause is worth telling: the others lost their connection to those that ended first.
        for consequence in (False,) if self._signalled_twice else (False, True):
            files = {r: error_file(self._errors, r, consequence=consequence) for r in self._ended}
            written = sorted((f.stat().st_mtime_ns, r) for r, f in files.items() if f.is_file())
            if written:
                rank = written[0][1]
                print(files[rank].read_text(encoding="utf-8"), end="", file=sys.stderr)
                return int(self._processes[rank].returncode)
        raise self._silent_failure(self._ended[0], None)

    def _silent_failure(self, rank: int, by: int | None) -> Interrupted | RunFailed:
        """The error of a process that wrote no message itself."""
        if self._signalled_twice:
            return Interrupted(stopped_twice(), hint=RESUME)
        if by in self._forwarded:
            return Interrupted("interrupted", hint=RESUME)
        name = f"process {rank} of {len(self._processes)}"
        how = (
            f"exited with code {self._processes[rank].returncode}"
            if by is None
            else f"was killed by {_signal_name(by)}"
        )
        log = self._log(rank)
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:] if log.is_file() else []
        reason = " (possibly out of memory)" if by == signal.SIGKILL else ""
        return RunFailed(
            "\n".join([f"{name} {how}{reason}; the other processes were stopped", *lines]),
            hint="re-run the same command to resume from the last commit",
        )

    def _log(self, rank: int) -> Path:
        return self._errors / f"{rank}.log"


def _rendezvous(processes: int) -> dict[str, str]:
    """The rendezvous variables that torch.distributed and Accelerate read."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    size = str(processes)
    return {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size}


def _is_stopped(pid: int) -> bool:
    """Whether a process has been stopped, by SIGSTOP or a debugger; False where there is no /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return False
    return fields[0] in ("T", "t")


def _signal_name(number: int) -> str:
    return signal.Signals(number).name
