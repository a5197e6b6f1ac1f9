"""Several processes of one command: one voice, the exit codes of one process, and nothing lost when one of them dies."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from prerl_spec.cli.main import main
from prerl_spec.cli.shared import launcher
from prerl_spec.cli.shared.launcher import launch, processes_to_start
from prerl_spec.errors import Interrupted, UsageError
from prerl_spec.process.stop_signals import Stopped, ended_by_signals
from prerl_spec.testing.tiny import save_tiny
from tests.engine.runs import SPEC, steps_of

ROOT = Path(__file__).parent.parent.parent
LONG = SPEC.replace('"reincarnate_after", steps = 3', '"reincarnate_after", steps = 300')
UNSAMPLED = (
    SPEC[: SPEC.index('[[phases]]\nid = "prune"')]
    .replace("steps = 3 }", "steps = 300 }")
    .replace("max_position_embeddings = 64", "max_position_embeddings = 128")
)
"""Its processes start no sampler and no verifier; its documents are up to 87 tokens long."""
SHARDED = '\n[distributed]\nprocesses = 2\nstrategy = "fsdp2"\nactivation_checkpointing = true\n'
SBATCH = ROOT / "examples" / "slurm" / "run.sbatch"


def test_a_command_of_several_processes_speaks_once(capfd: pytest.CaptureFixture[str]) -> None:
    assert launch(["explain", "E0301"], 2) == 0
    together = capfd.readouterr().out
    assert launch(["explain", "E0301"], 1) == 0
    assert capfd.readouterr().out == together != ""


def test_a_mistake_is_shown_once_with_its_own_exit_code(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert launch(["plan", str(tmp_path / "absent.toml")], 3) == 2
    assert capfd.readouterr().err.count("absent.toml") == 1


def test_a_launcher_that_is_at_work_already_starts_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    assert processes_to_start(None, 4) == 4
    assert processes_to_start(2, 4) == 2
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert processes_to_start(None, 2) == 1
    with pytest.raises(UsageError, match="--processes 2 contradicts the launcher, which has started 4"):
        processes_to_start(2, 4)


def test_tasks_of_srun_that_know_nothing_of_each_other_are_refused_before_there_is_a_folder(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spec.toml").write_text(SPEC)
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "1")
    assert processes_to_start(None, 1) == 1
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    assert main(["run", "spec.toml"]) == 3
    said = capfd.readouterr().err
    assert "srun has started 2 tasks, but RANK is not set: each would be a run of its own" in said
    assert "examples/slurm/run.sbatch" in said
    assert not (tmp_path / "runs").exists()
    monkeypatch.setenv("RANK", "0")
    assert processes_to_start(None, 1) == 1


def test_mistakes_and_taken_folders_are_told_before_anything_is_started(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "spec.toml").write_text(SPEC)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    monkeypatch.setattr("prerl_spec.cli.runs.run.launch", lambda *_, **__: pytest.fail("something was started"))
    assert main(["run", str(tmp_path / "spec.toml"), "--processes", "2", "--set", "run.seed=x"]) == 1
    taken = ["--run-dir", str(tmp_path / "taken")]
    assert main(["run", str(tmp_path / "spec.toml"), "--processes", "2", *taken]) == 2
    assert "is not empty and not a run folder" in capfd.readouterr().err


def test_a_killed_process_ends_the_others_and_a_rerun_resumes(tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_text(UNSAMPLED + SHARDED)
    line = [sys.executable, "-m", "prerl_spec", "run", "spec.toml", "--run-dir", "run"]
    with started(line, tmp_path) as (process, errors):
        wait_for_step(tmp_path / "run", 3)
        os.kill(ranks_of(process)[1], signal.SIGKILL)
        assert process.wait(60) == 5
    told = errors.read_text().splitlines()
    assert told[-2].startswith("error: process 1 of 2 was killed by SIGKILL")
    assert told[-1] == "  = help: re-run the same command to resume from the last commit"
    assert sum("error" in line for line in told) == 1
    committed = max(int(f.name[5:]) for f in (tmp_path / "run" / "checkpoints").glob("step-*"))
    with started(line, tmp_path) as (process, errors):
        wait_for_step(tmp_path / "run", committed + 2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 75
    assert errors.read_text().splitlines()[-2:] == ["error: interrupted", "  = help: re-run the same command to resume"]
    assert {e["from_checkpoint"] for e in events(tmp_path / "run", "resume")} == {f"step-{committed:06d}"}
    last = steps_of(tmp_path / "run")[-1]["global_step"]
    assert (tmp_path / "run" / "checkpoints" / f"step-{last:06d}").is_dir(), "the step in progress was committed"


@pytest.mark.slow
def test_a_run_goes_on_with_another_strategy_and_another_number_of_processes(tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_text(
        SPEC.replace('steps = 3 }\n\n[[phases]]\nid = "refine"', 'steps = 9 }\n\n[[phases]]\nid = "refine"')
    )
    line = [sys.executable, "-m", "prerl_spec", "run", "spec.toml", "--run-dir", "run"]
    ways = (["--processes", "2", "--set", 'distributed.strategy="fsdp2"'], ["--processes", "2"], ["--processes", "1"])
    for reached, way in zip((4, 6), ways, strict=False):
        with started([*line, *way], tmp_path) as (process, _):
            wait_for_step(tmp_path / "run", reached)
            process.send_signal(signal.SIGINT)
            assert process.wait(60) in (0, 75)
    assert subprocess.run([*line, *ways[2]], cwd=tmp_path, env=environment(), check=False).returncode in (0, 2)
    steps = [s["global_step"] for s in steps_of(tmp_path / "run")]
    assert steps == sorted(set(steps)), "no committed step is lost or repeated"
    assert events(tmp_path / "run", "end")


@pytest.mark.slow
def test_two_processes_score_a_model_as_one_does(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"problem": f"{n}+1?", "answer": str(n + 1)}) + "\n" for n in range(5)))
    save_tiny(tmp_path / "model")
    scores = []
    for processes in ("1", "2"):
        line = [
            sys.executable,
            "-m",
            "prerl_spec",
            "eval",
            "model",
            "--tasks",
            "math500_boxed",
            "--data",
            f"math500_boxed={rows}",
        ]
        line += ["--max-new-tokens", "8", "--samples", "2", "--processes", processes, "--out", f"out-{processes}"]
        subprocess.run(line, cwd=tmp_path, env=environment(), check=True, capture_output=True)
        scores.append(json.loads((tmp_path / f"out-{processes}" / "scores.json").read_text()))
    assert scores[0] == scores[1]


@pytest.mark.slow
def test_the_slurm_file_requeues_an_interrupted_run_and_the_same_line_goes_on(tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_text(LONG)
    slurm = {**environment(), **emulated_slurm(tmp_path)}
    line = ["bash", str(SBATCH), "spec.toml", "--run-dir", "run", "--set", "checkpoint.every=100"]
    for interrupted_at in (4, 7):
        with started(line, tmp_path, slurm) as (process, errors):
            wait_for_step(tmp_path / "run", interrupted_at)
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 75, errors.read_text()
    assert (tmp_path / "requeued").read_text().split() == [slurm["SLURM_JOB_ID"]] * 2
    assert len(events(tmp_path / "run", "resume")) == 1
    steps = [s["global_step"] for s in steps_of(tmp_path / "run")]
    assert steps == list(range(1, len(steps) + 1)), "no step was lost or repeated"


def test_the_slurm_file_passes_a_signal_on_once_and_requeues_after_75_only(tmp_path: Path) -> None:
    """The real file with a command that takes its time to end: the signal must not end the file before it."""
    slurm = {**environment(), **emulated_slurm(tmp_path), "SLURM_CPUS_PER_TASK": "3"}
    command = tmp_path / "tools" / "prerl-spec"
    command.write_text(
        "#!/bin/bash\n"
        'trap "echo TERM >> heard; sleep 0.3; exit $3" TERM\n'
        'echo "$RANK $LOCAL_RANK $WORLD_SIZE $MASTER_ADDR $OMP_NUM_THREADS $*" >> started\n'
        "for i in {1..500}; do sleep 0.02; done\n"
    )
    for code, requeued in (("75", 1), ("5", 0)):
        for name in ("heard", "started", "requeued"):
            (tmp_path / name).unlink(missing_ok=True)
        with started(["bash", str(SBATCH), "spec.toml", code], tmp_path, slurm) as (process, errors):
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline and not (
                (tmp_path / "started").exists() and len((tmp_path / "started").read_text().splitlines()) == 2
            ):
                time.sleep(0.01)
            time.sleep(0.1)  # until both have their traps
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == int(code), errors.read_text()
        assert (tmp_path / "heard").read_text().split() == ["TERM", "TERM"], "each task once"
        tasks = sorted((tmp_path / "started").read_text().splitlines())
        assert tasks == [f"{rank} {rank} 2 127.0.0.1 3 run spec.toml {code}" for rank in (0, 1)]
        assert (tmp_path / "srun.line").read_text().split()[:2] == ["--wait=300", "--cpus-per-task=3"]
        assert (tmp_path / "requeued").exists() == bool(requeued)


@pytest.mark.vllm
def test_vllm_draws_from_the_weights_that_lie_in_shards(tmp_path: Path) -> None:
    # vLLM's CPU build has no attention for heads of 16.
    text = SPEC.replace("head_dim = 16", "head_dim = 32").replace('use = "transformers"', 'use = "vllm"')
    (tmp_path / "spec.toml").write_text(
        text.replace("[sampler]", "[sampler]\nengine = { enforce_eager = true }") + SHARDED
    )
    line = [sys.executable, "-m", "prerl_spec", "run", "spec.toml", "--run-dir", "run"]
    own = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1"}
    subprocess.run(line, cwd=tmp_path, env={**environment(), **own}, check=True, capture_output=True)
    gaps = [s["metrics"]["sampler_gap"] for s in steps_of(tmp_path / "run") if s["phase"] != "pretrain"]
    assert len(gaps) == 5
    assert max(gaps) < 1e-4


def emulated_slurm(folder: Path) -> dict[str, str]:
    """One node with two tasks: `srun` starts them and passes SIGTERM on, as Slurm does; `scontrol` notes what is asked."""
    tools = folder / "tools"
    tools.mkdir()
    (tools / "srun").write_text(
        "#!/bin/bash\n"
        'echo "$@" > srun.line; while [[ $1 = --* ]]; do shift; done; tasks=()\n'
        'for i in 0 1; do SLURM_PROCID=$i SLURM_LOCALID=$i "$@" & tasks+=($!); done\n'
        "trap 'kill -TERM ${tasks[@]}' TERM; code=0\n"
        "for task in ${tasks[@]}; do\n"
        "  while kill -0 $task 2>/dev/null; do wait $task; done\n"
        "  wait $task; one=$?; [ $one -gt $code ] && code=$one\n"
        "done; exit $code\n"
    )
    (tools / "scontrol").write_text('#!/bin/bash\n[ "$1" = show ] && echo 127.0.0.1 || echo "$2" >> requeued\n')
    (tools / "prerl-spec").write_text(f'#!/bin/bash\nexec {sys.executable} -m prerl_spec "$@"\n')
    for tool in tools.iterdir():
        tool.chmod(0o755)
    return {
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "SLURM_JOB_ID": str(free_port(20000, 40000) - 20000),
        "SLURM_JOB_NODELIST": "node[1]",
        "SLURM_NTASKS": "2",
        "SLURM_CPUS_PER_TASK": "1",
    }


def free_port(first: int, end: int) -> int:
    for port in range(first + os.getpid() % 10000, end):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise AssertionError("every port is taken")


def environment() -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}


@contextmanager
def started(
    line: list[str], folder: Path, env: Mapping[str, str] | None = None
) -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
    """A command at work, and the file of its standard error; killed on the way out if it still runs."""
    errors = folder / f"errors-{time.monotonic_ns()}"
    with errors.open("wb") as stream:
        process = subprocess.Popen(line, cwd=folder, env=env or environment(), stdout=subprocess.DEVNULL, stderr=stream)
    try:
        yield process, errors
    finally:
        process.kill()
        process.wait()


def ranks_of(process: "subprocess.Popen[bytes]") -> list[int]:
    """Its child processes, first started first."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return sorted(map(int, children.split()))


def wait_for_step(run: Path, global_step: int, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if (run / "events.jsonl").is_file() and any(s["global_step"] >= global_step for s in whole_steps(run)):
            return
        time.sleep(0.05)
    raise AssertionError(f"step {global_step} was not reached")


def whole_steps(run: Path) -> list[dict[str, Any]]:
    """Steps so far; the last line may still be on its way."""
    lines = (run / "events.jsonl").read_text().splitlines(keepends=True)
    return [e for e in map(json.loads, (x for x in lines if x.endswith("\n"))) if e["event"] == "step"]


def events(run: Path, kind: str) -> list[dict[str, Any]]:
    return [e for e in map(json.loads, (run / "events.jsonl").read_text().splitlines()) if e["event"] == kind]


@pytest.mark.parametrize("lost", [True, False])
def test_a_signal_that_arrives_while_processes_are_started_is_passed_on(
    lost: bool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its exception is lost in a callback of the fork; the processes then hear of it when all have been started."""
    start = launcher._Group._start

    def signalled(*given: Any) -> "subprocess.Popen[bytes]":
        if lost:
            with suppress(Stopped):
                os.kill(os.getpid(), signal.SIGUSR1)
                time.sleep(5)
        return start(*given)

    monkeypatch.setattr(launcher._Group, "_start", signalled)
    with ended_by_signals():
        code = 0
        try:
            code = launch(["explain", "E0301"], 2)
        except Interrupted as stopped:
            code = stopped.exit_code
    assert code == (75 if lost else 0)
