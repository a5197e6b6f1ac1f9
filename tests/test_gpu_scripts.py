"""The scripts of benchmarks/gpu, tried out on a CPU with a model of two layers."""

import json
import os
import select
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch.utils.flop_counter import FlopCounterMode

from prerl_spec.engine.policy.packing import lay_rows
from prerl_spec.engine.policy.policy import Policy
from prerl_spec.needs import Layout
from prerl_spec.types import Segment

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


@pytest.mark.slow
def test_every_stage_of_a_lease_runs_with_a_model_of_two_layers(tmp_path: Path) -> None:
    command = [sys.executable, str(FOLDER / "lease_stages.py"), "--tiny", "--cpu", "--out", str(tmp_path)]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert finished.returncode == 0, finished.stdout
    stages = json.loads((tmp_path / "lease.json").read_text())
    assert [stage["code"] for stage in stages] == [0] * 7
    (resumed,) = stages[-1]["found"]["measured"]
    assert resumed["each once"]


STAGE = """
import subprocess, sys, time
child = "import os, sys, time; os.write(int(sys.argv[1]), b'1'); time.sleep(600)"
subprocess.Popen([sys.executable, "-c", child, sys.argv[1]], start_new_session=True, pass_fds=(int(sys.argv[1]),))
time.sleep(600)
"""
"""Its child has a session of its own, as the run has that the last stage kills."""


def test_what_a_stage_has_started_is_killed_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    from lease_stages import kill_whole

    read, write = os.pipe()
    with subprocess.Popen([sys.executable, "-c", STAGE, str(write)], pass_fds=(write,)) as stage:
        os.close(write)
        assert os.read(read, 1) == b"1"
        kill_whole(stage.pid)
    ended, _, _ = select.select([read], [], [], 60)
    assert ended, "the child still holds its end"
    assert os.read(read, 1) == b""
    os.close(read)


def test_a_stage_over_its_limit_is_told_and_the_next_one_can_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    import lease_stages

    (tmp_path / "stage.py").write_text("import time; time.sleep(600)")
    monkeypatch.setattr(lease_stages, "HERE", tmp_path)
    late = lease_stages._run(lease_stages.Stage("late", 600, "stage.py"), [], 0.1)
    assert late["code"] is None
    assert late["failed"].startswith("over its limit")


@pytest.mark.slow
def test_a_pass_of_4b_with_activations_computed_again_fits_beside_the_model_on_one_card(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """141 GB: by the sizes of fake tensors, at 16k tokens."""
    monkeypatch.syspath_prepend(str(FOLDER))
    from pass_memory import peak_of_pass
    from shapes import SHAPES

    found = peak_of_pass(SHAPES["4B"], 16384, recompute=True)
    assert 60e9 < found["model"] < 70e9
    assert found["model"] + found["pass"] < 0.9 * 141e9


def test_the_flops_of_an_update_are_those_that_torch_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eager attention multiplies whole squares, of which the formula takes the causal half, and the backward pass computes
    the head's logits again, which the formula leaves out."""
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
    alone = replace(step, groups=tuple(replace(g, attempts=(a,)) for g in step.groups for a in g.attempts))
    half_a_square = 6 * 2 * (2 * 64) * script.tokens_and_squares(alone)[1]
    logits_again = 2 * policy.vocab_size * shape["hidden_size"] * step.tokens.num_tokens
    # The parameters of norms are no matrix products, and the optimizer's arithmetic is not counted.
    assert counter.get_total_flops() == pytest.approx(
        script.model_flops(policy, alone) + half_a_square + logits_again, rel=0.01
    )


def test_a_question_that_a_flat_row_holds_once_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    import trainer_mfu as script

    step = script.Load(samples=10, context=40, response=60).step(300)
    layouts = [
        Layout(group.prompt.context, (Segment(attempt.tokens),)) for group in step.groups for attempt in group.attempts
    ]
    starts = np.cumsum([0, *(len(layout.segments[0].tokens) for layout in layouts)])[:-1]
    rows = lay_rows(layouts, starts.tolist(), "flat")
    tokens, squares = script.tokens_and_squares(step)
    assert tokens == rows.id_BT.size
    # What a token attends to, itself included: its own sequence so far, and all of the stem.
    seen = sum(
        stem.length * (stem.length + 1) / 2 + sum(n * stem.length + n * (n + 1) / 2 for n in stem.branches)
        for stem in rows.stems
    )
    assert squares == pytest.approx(2 * seen, rel=0.02)
