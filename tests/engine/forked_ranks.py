"""Ranks that are forks of this process: torchrun imports torch three times, 5 s of CPU each."""

import os
import runpy
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import torch
from accelerate.state import AcceleratorState, GradientState
from torch.distributed import TCPStore

from tests.forks import forked

ROOT = Path(__file__).parent.parent.parent


def torchrun(module: str, *arguments: str, cwd: Path) -> str:
    """Two real processes over gloo; gives their standard error."""
    return launch(module, *arguments, cwd=cwd, processes=2)


def launch(module: str, *arguments: str, cwd: Path, processes: int) -> str:
    """The same for any number of processes. Where there is no GPU, `forked_ranks` gives the same in a third of the time."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    command = [sys.executable, *launcher, "-m", module]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    finished = subprocess.run(
        [*command, *arguments], env=environment, cwd=cwd, capture_output=True, text=True, timeout=240
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stderr


def forked_ranks(module: str, *arguments: str, cwd: Path, processes: int = 2, seconds: float = 240.0) -> str:
    """`python -m MODULE ARGUMENTS` on so many ranks over gloo, joined by a store of this process; gives what they printed.

    Where there is a GPU they are started by torchrun: CUDA, once used, does not survive a fork.
    """
    if torch.cuda.is_available():
        return launch(module, *arguments, cwd=cwd, processes=processes)
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    joined = {
        "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(processes),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(store.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "TORCHELASTIC_RESTART_COUNT": "0",
        "OMP_NUM_THREADS": "1",
    }

    def work(rank: int) -> None:
        os.environ.update(joined, RANK=str(rank), LOCAL_RANK=str(rank))
        os.chdir(cwd)
        AcceleratorState._reset_state(reset_partial_state=True)
        GradientState._reset_state()
        sys.argv = [module, *arguments]
        runpy.run_module(module, run_name="__main__", alter_sys=True)

    logs = [cwd / f"rank-{rank}.log" for rank in range(processes)]
    living = {forked(partial(work, rank), log): log for rank, log in enumerate(logs)}
    deadline = time.monotonic() + seconds
    try:
        while living:
            for child in list(living):
                ended, status = os.waitpid(child, os.WNOHANG)
                if ended:
                    log = living.pop(child)
                    assert os.waitstatus_to_exitcode(status) == 0, log.read_text(encoding="utf-8")
            assert time.monotonic() < deadline, "\n".join(log.read_text(encoding="utf-8") for log in living.values())
            time.sleep(0.005)
    finally:
        for child in living:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    return "".join(log.read_text(encoding="utf-8") for log in logs)
