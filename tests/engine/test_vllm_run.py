"""Whole runs with the sampler `vllm`: the gap stays closed at every step, a kill costs no committed step, two processes have
an engine each."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("vllm")

from tests.engine.forked_ranks import torchrun
from tests.engine.runs import SPEC, steps_of
from tests.run_files import groups_of

pytestmark = pytest.mark.vllm

ROOT = Path(__file__).parents[2]
# The heads that vLLM's CPU kernels take have at least 32 dimensions.
VLLM = SPEC.replace('use = "transformers"', 'use = "vllm"').replace("head_dim = 16", "head_dim = 32")
SAMPLED = range(4, 9)
"""Global steps of `prune` and `refine`."""


def launch(folder: Path, text: str = VLLM) -> "subprocess.Popen[str]":
    folder.mkdir(exist_ok=True)
    (folder / "spec.toml").write_text(text)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "prerl_spec", "run", "spec.toml"]
    return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)


def wait_for(file: Path, word: str, seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not (file.exists() and word.encode() in file.read_bytes()):
        assert time.monotonic() < deadline, f"{file} never said {word}"
        time.sleep(0.02)


def gaps(run: Path) -> dict[int, float]:
    return {e["global_step"]: e["metrics"]["sampler_gap"] for e in steps_of(run) if "sampler_gap" in e["metrics"]}


def written(run: Path, upto: int) -> dict[str, Any]:
    """The events and journals of committed steps."""
    journals = {f.name: f.read_bytes() for f in sorted((run / "journal").glob("step-*")) if step_number(f) <= upto}
    return {"events": [e for e in steps_of(run) if e["global_step"] <= upto], "journals": journals}


def step_number(file: Path) -> int:
    return int(file.stem.removeprefix("step-"))


def test_a_killed_run_goes_on_and_no_committed_step_is_lost_altered_or_repeated(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "small"
    process = launch(tmp_path)
    wait_for(run / "journal" / "step-000007.journal", "logps")
    process.send_signal(signal.SIGKILL)
    process.wait()
    committed = max(step_number(f) for f in (run / "checkpoints").glob("step-*"))
    assert 4 <= committed < 8
    before = written(run, committed)
    again = launch(tmp_path)
    _, said = again.communicate(timeout=240)
    assert again.returncode == 0, said
    assert written(run, committed) == before
    assert [e["global_step"] for e in steps_of(run) if e["global_step"] <= committed] == list(range(1, committed + 1))
    assert {e["global_step"] for e in steps_of(run)} == set(range(1, 9))
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    assert [e["event"] for e in events].count("resume") == 1
    assert events[-1]["event"] == "end"
    found = gaps(run)
    assert set(found) == set(SAMPLED)
    assert max(found.values()) <= 1e-4, found


@pytest.mark.parametrize("strategy", ["ddp", "fsdp2"])
def test_two_processes_have_an_engine_each_and_draw_what_one_draws(tmp_path: Path, strategy: str) -> None:
    (tmp_path / "both").mkdir()
    (tmp_path / "both" / "spec.toml").write_text(f'{VLLM}\n[distributed]\nstrategy = "{strategy}"\n')
    torchrun("prerl_spec", "run", "spec.toml", cwd=tmp_path / "both")
    both = tmp_path / "both" / "runs" / "small"
    assert set(gaps(both)) == set(SAMPLED)
    assert max(gaps(both).values()) <= 1e-4
    assert {f.name for f in (both / "vllm").glob("*.log")} == {"rank0.log", "rank1.log"}
    alone = launch(tmp_path / "alone")
    _, said = alone.communicate(timeout=240)
    assert alone.returncode == 0, said
    # The first sampled step: weights that both have trained for three steps, the same seeds.
    assert drawn(both, 4) == drawn(tmp_path / "alone" / "runs" / "small", 4)


def drawn(run: Path, step: int) -> dict[int, list[tuple[int, ...]]]:
    return {slot: [a.tokens for a in group.attempts] for (_, slot), group in groups_of(run, step).items()}
