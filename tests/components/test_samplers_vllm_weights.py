"""Weights that go wrong on their way to a vLLM engine in this process: each ends the run, in 32 and in 16 bits, as full weights
and as adapters; sound ones go on."""

import pytest
import torch

pytest.importorskip("vllm")
pytest.importorskip("peft")

from benchmarks.weight_faults import at_opening, results

pytestmark = pytest.mark.vllm


@pytest.mark.parametrize("lora", [False, True], ids=["full", "LoRA"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_fault_ends_the_run_and_nothing_else_does(dtype: torch.dtype, lora: bool) -> None:
    found = dict(results(dtype, lora=lora))
    assert len(found) >= 16
    sound = {name: said for name, said in found.items() if name.startswith("none")}
    assert len(sound) == 2
    assert not any(sound.values()), sound
    assert all(said for name, said in found.items() if name not in sound), found
    assert "weights have changed after they were last pushed" in found["no push for 8 updates, lr 1e-6"]
    assert "weights of the engine have changed since they were pushed" in found["after the push, before the draw"]
    assert "some are not finite" in found["NaN"]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_faults_that_are_there_from_the_first_push_end_the_run_too(dtype: torch.dtype) -> None:
    assert all(said for _, said in at_opening(dtype))
