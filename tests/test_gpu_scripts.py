"""The scripts of benchmarks/gpu, tried out on a CPU with a model of two layers."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from torch.utils.flop_counter import FlopCounterMode

from prerl_spec.engine.policy.policy import Policy

FOLDER = Path(__file__).parent.parent / "benchmarks" / "gpu"


def printed(script: str, *arguments: str) -> dict[str, Any]:
    """The last line that the script prints, which is JSON."""
    command = [sys.executable, str(FOLDER / script), "--tiny", "--cpu", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert finished.returncode == 0, finished.stderr
    found: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    assert found["versions"]["torch"]
    assert found["settings"]["model"]["num_hidden_layers"] == 2
    return found


@pytest.mark.slow
def test_the_run_of_a_qwen3_shape_tells_times_rates_gap_and_memory_of_every_phase() -> None:
    phases = {row["phase"]: row for row in printed("dsrl_qwen3_shape.py")["measured"]}
    assert list(phases) == ["pretrain", "prune", "refine"]
    assert phases["pretrain"]["trained tok/s"] > 0
    assert phases["refine"]["sampled tok/s"] > 0
    # Sampler and trainer in bfloat16, a vocabulary of 320: far apart would be a nat.
    assert 0 < phases["refine"]["gap mean"] < 0.05


@pytest.mark.slow
def test_the_utilisation_of_a_stated_peak_is_told_for_every_size_of_a_pass() -> None:
    rows = printed("trainer_mfu.py", "--peak-tflops", "1", "--repeats", "1")["measured"]
    assert [row["tokens/pass"] for row in rows] == [64, 128]
    for row in rows:
        assert row["MFU %"] == pytest.approx(100 * row["TFLOP/s"])
        assert row["tokens/s"] > row["trained tokens/s"] > 0


def test_the_flops_of_an_update_are_those_that_torch_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eager attention multiplies whole squares, of which the formula takes the causal half."""
    import torch

    monkeypatch.syspath_prepend(str(FOLDER))
    import trainer_mfu as script
    from building import random_model

    cpu = torch.device("cpu")
    shape = {**script.TINY, "hidden_size": 128, "head_dim": 64, "intermediate_size": 256}
    policy = Policy(random_model(shape, cpu, "eager"), cpu)
    step = script.Load(samples=2, context=40, response=60).step(policy.vocab_size)
    with FlopCounterMode(display=False) as counter:
        # One sample a pass: in a row of both, eager attention would multiply what the mask takes away.
        script.trainer_of(policy, 1).train(step)
    half_a_square = 6 * 2 * (2 * 64) * float((script.lengths_of(step) ** 2).sum())
    # The parameters of norms are no matrix products, and the optimizer's arithmetic is not counted.
    assert counter.get_total_flops() == pytest.approx(script.model_flops(policy, step) + half_a_square, rel=0.01)
