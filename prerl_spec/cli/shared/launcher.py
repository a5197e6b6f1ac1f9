"""Several processes of one command on this machine: joined, ended together, one display, one message, one exit code.

What `torchrun` does, without its restarts and its own reports: the exit codes are those of a run in one process. Under
another launcher (torchrun, Slurm's srun, MPI) nothing is started here.
"""

import argparse
import ctypes
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
from prerl_spec.cli.shared.rank_environment import FOLDER, VOICES, is_one_of_several, words_file
from prerl_spec.cli.shared.signal_handlers import handling
from prerl_spec.compiler.estimates.prerequisites import torch_can_use_gpus
from prerl_spec.compiler.hardware import detect_hardware
from prerl_spec.errors import EnvironmentUnmet, Interrupted, RunFailed, UsageError

SECONDS_TO_FOLLOW = 30.0
"""How long processes may take to end after one of them has failed; most do at once, since their connection breaks."""
SECONDS_BETWEEN_LOOKS = 0.05
_DIE_WITH_PARENT = 1
"""PR_SET_PDEATHSIG of prctl(2)."""


def add_processes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--processes", type=positive, metavar="N", help="share the work among N processes of this machine"
    )


def processes_to_start(asked: int | None, planned: int) -> int:
    """How many processes this one has to start: 1 where it is to do the work itself.

    `asked` is --processes, `planned` the plan's. Raises UsageError for a --processes that a launcher contradicts, and
    EnvironmentUnmet where there are fewer GPUs than processes.
    """
    if is_one_of_several():
        world = os.environ.get("WORLD_SIZE")
        if asked is not None and world is not None and str(asked) != world:
            raise UsageError(
                f"--processes {asked}, and a launcher has started {world}", hint="leave --processes to the launcher"
            )
        return 1
    wanted = planned if asked is None else asked
    gpus = detect_hardware().gpus if wanted > 1 and torch_can_use_gpus() else ()
    if gpus and wanted > len(gpus):
        raise EnvironmentUnmet(
            f"{wanted} processes take a GPU each, and there {'is' if len(gpus) == 1 else 'are'} {len(gpus)}",
            hint=f"write --processes {len(gpus)}",
        )
    return wanted


def launch(
    command: Sequence[str], processes: int, *, folder: Path | None = None, leave_thread_count: bool = False
) -> int:
    """Runs `prerl-spec COMMAND` in so many processes; gives the exit code of what one process would have ended with.

    `folder` is the run folder that the caller holds. SIGINT and SIGTERM go on to every process. OMP_NUM_THREADS shares the
    cores among the processes, unless `leave_thread_count`: those whose results may not depend on their number choose it
    themselves. Raises RunFailed for a process that was killed.
    """
    with tempfile.TemporaryDirectory(prefix="prerl-spec-") as voices:
        environment = {**os.environ, **_joining(processes), VOICES: voices, "PYTHONPATH": _module_path()}
        if folder is not None:
            environment[FOLDER] = str(folder)
        if not leave_thread_count:
            environment.setdefault("OMP_NUM_THREADS", str(max(1, detect_hardware().cores // processes)))
        group = _Group(command, processes, environment, Path(voices))
        with group.forwarding_signals():
            group.wait()
        return group.verdict()


class _Group:
    """The processes, and what has become of them."""

    def __init__(self, command: Sequence[str], processes: int, environment: Mapping[str, str], voices: Path) -> None:
        self._voices = voices
        self._forwarded: set[int] = set()
        self._killed: set[int] = set()
        self._ended: list[int] = []
        """Ranks in the order in which they were seen to have ended otherwise than well."""
        self._processes = [self._start(command, rank, environment) for rank in range(processes)]

    def _start(self, command: Sequence[str], rank: int, environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
        line = [sys.executable, "-P", "-m", "prerl_spec", *command]
        own = {**environment, "RANK": str(rank), "LOCAL_RANK": str(rank)}
        # A session of its own: Ctrl-C in a terminal would reach the processes twice, and twice means at once.
        if rank == 0:
            return subprocess.Popen(line, env=own, start_new_session=True, preexec_fn=_die_with_parent)
        with self._log(rank).open("wb") as log:
            return subprocess.Popen(
                line,
                env=own,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )

    @contextmanager
    def forwarding_signals(self) -> Iterator[None]:
        """SIGINT and SIGTERM go to every process instead of ending this one; whatever ends this one ends them."""
        with handling((signal.SIGINT, signal.SIGTERM), self._forward):
            try:
                yield
            finally:
                self._kill()

    def _forward(self, number: int, frame: FrameType | None) -> None:
        self._forwarded.add(number)
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(number)

    def wait(self) -> None:
        """Until all have ended; those that do not follow one that has failed are killed."""
        deadline = float("inf")
        while any(process.poll() is None for process in self._processes):
            for rank, process in enumerate(self._processes):
                if process.poll() not in (None, 0) and rank not in self._ended:
                    self._ended.append(rank)
                    deadline = min(deadline, time.monotonic() + SECONDS_TO_FOLLOW)
            if time.monotonic() > deadline:
                self._kill()
            time.sleep(SECONDS_BETWEEN_LOOKS)
        self._ended += [r for r, p in enumerate(self._processes) if p.returncode and r not in self._ended]

    def _kill(self) -> None:
        for rank, process in enumerate(self._processes):
            if process.poll() is None:
                self._killed.add(rank)
                process.kill()
        for process in self._processes:
            process.wait()

    def verdict(self) -> int:
        """Shows why the first process failed, if one did; its exit code."""
        if not self._ended:
            return 0
        for rank in self._ended:
            code = self._processes[rank].returncode
            if code < 0 and rank not in self._killed:
                raise self._death(rank, -code)
        for consequence in (False, True):
            files = {r: words_file(self._voices, r, consequence=consequence) for r in self._ended}
            told = sorted((f.stat().st_mtime_ns, r) for r, f in files.items() if f.is_file())
            if told:
                rank = told[0][1]
                print(files[rank].read_text(encoding="utf-8"), end="", file=sys.stderr)
                return int(self._processes[rank].returncode)
        raise self._death(self._ended[0], None)

    def _death(self, rank: int, by: int | None) -> Interrupted | RunFailed:
        """What is said of a process that had no last words."""
        if by in self._forwarded:
            return Interrupted("interrupted", hint="the same command goes on")
        name = f"process {rank} of {len(self._processes)}"
        how = f"ended with {self._processes[rank].returncode}" if by is None else f"was killed by {_signal_name(by)}"
        log = self._log(rank)
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:] if log.is_file() else []
        reason = " (the system does that where memory runs out)" if by == signal.SIGKILL else ""
        return RunFailed(
            "\n".join([f"{name} {how}{reason}, and the others were ended", *lines]),
            hint="the same command goes on from the last commit",
        )

    def _log(self, rank: int) -> Path:
        return self._voices / f"{rank}.log"


def _joining(processes: int) -> dict[str, str]:
    """What torch.distributed and Accelerate read of a launcher."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    size = str(processes)
    return {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size}


def _module_path() -> str:
    """This process's own; with -P: not that of the folder the others start in."""
    return os.pathsep.join(p or os.getcwd() for p in sys.path)


def _die_with_parent() -> None:
    """However the launcher ends, no process stays behind in a folder that is free for the next run."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)


def _signal_name(number: int) -> str:
    return signal.Signals(number).name
