"""The Slurm job of a study picks its command, passes a signal on, and requeues what was interrupted."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

JOB = Path(__file__).parents[2] / "examples" / "slurm" / "study.sbatch"
CELLS = """# study tiny: 3 runs in 2 stages
# stage 1
touch 'one of one'
# stage 2
touch 'one of two'
sh -c 'trap "exit 75" TERM; touch begun; while :; do sleep 0.01; done'
# when all are finished: prerl-spec compare runs/tiny-study
"""


def job(folder: Path, stage: int, task: int) -> "subprocess.Popen[bytes]":
    (folder / "cells.txt").write_text(CELLS)
    scontrol = folder / "scontrol"
    scontrol.write_text('#!/bin/sh\necho "$@" > requeued\n')
    scontrol.chmod(0o755)
    environment = {**os.environ, "SLURM_ARRAY_TASK_ID": str(task), "SLURM_ARRAY_JOB_ID": "7"}
    environment["PATH"] = f"{folder}:{environment['PATH']}"
    return subprocess.Popen(["bash", str(JOB), "cells.txt", str(stage)], cwd=folder, env=environment)


@pytest.mark.parametrize(("stage", "task", "made"), [(1, 1, "one of one"), (2, 1, "one of two")])
def test_a_task_runs_the_command_of_its_stage_and_number(tmp_path: Path, stage: int, task: int, made: str) -> None:
    assert job(tmp_path, stage, task).wait(20) == 0
    assert {p.name for p in tmp_path.iterdir()} - {"cells.txt", "scontrol"} == {made}


def test_a_task_beyond_its_stage_is_refused(tmp_path: Path) -> None:
    assert job(tmp_path, 1, 2).wait(20) == 2


def test_an_interrupted_task_requeues_itself(tmp_path: Path) -> None:
    process = job(tmp_path, 2, 2)
    while not (tmp_path / "begun").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 75
    assert (tmp_path / "requeued").read_text() == "requeue 7_2\n"
