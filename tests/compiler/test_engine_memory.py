"""The memory of a GPU that trainer and engine use in turns: each of the two times by hand, and what a plan says of them."""

from dataclasses import replace

import pytest

from prerl_spec.compiler.estimates.estimate import Spread, cost_of, shape_of
from prerl_spec.compiler.hardware import Gpu, Hardware
from prerl_spec.compiler.plan import EngineMemory
from prerl_spec.compiler.render.render_phase import _turns
from tests.compiler.test_estimate import QWEN3_4B, SHAPE, WORK

CARDS = Hardware(16, 64 << 30, (Gpu("card", 80 << 30),))
HALF = Spread(engine_share=0.5)


def test_the_two_times_by_hand() -> None:
    work = replace(WORK, reference=True, gradients_held=1)
    cost = cost_of(SHAPE, work, CARDS, half=True, processes=1, spread=HALF)
    activations = cost_of(SHAPE, replace(work, at_once=0), CARDS, half=True, processes=1).memory_bytes
    assert cost.engine == EngineMemory(
        sampling={
            "libraries": 500 << 20,
            "weights, moments": 12_000,
            "reference model": 4000,
            "the sampler's engine": 40 << 30,
        },
        training={
            "libraries": 500 << 20,
            "weights, gradients, moments": 16_000,
            "16-bit weights": 2000,
            "reference model": 4000,
            "gradients of probes": 4000,
            "activations of a pass": activations["activations of a pass"],
            "gradient of the head in a pass": 4 * 50 * 8,
        },
        weights=2000,
        cached_tokens=((40 << 30) - 2000) // (2 * 2 * 4 * 2),
    )
    assert cost.memory_bytes == cost.engine.sampling, "the greater is the peak"
    small = replace(CARDS, gpus=(Gpu("card", 20_000),))
    turned = cost_of(SHAPE, work, small, half=True, processes=1, spread=HALF)
    assert turned.engine is not None
    assert turned.memory_bytes == turned.engine.training


def test_shards_and_adapters_hold_less_beside_an_engine_that_holds_all() -> None:
    shards = cost_of(SHAPE, WORK, CARDS, half=True, processes=4, spread=replace(HALF, sharded=True)).engine
    adapter = cost_of(SHAPE, WORK, CARDS, half=False, processes=1, spread=HALF, adapter=50).engine
    assert shards is not None
    assert adapter is not None
    assert shards.sampling["weights, moments"] == 3000
    assert shards.weights == 2000
    assert (adapter.sampling["frozen weights"], adapter.sampling["adapter, moments"]) == (4000, 600)
    assert adapter.weights == 4000


@pytest.mark.parametrize("spread", [Spread(), Spread(engine_share=0.0)], ids=["no engine", "on another device"])
def test_without_an_engine_on_the_card_there_are_no_turns(spread: Spread) -> None:
    assert cost_of(SHAPE, WORK, CARDS, half=True, processes=1, spread=spread).engine is None
    assert cost_of(SHAPE, WORK, Hardware(2, 1 << 34), half=True, processes=1, spread=HALF).engine is None


def test_four_billion_parameters_and_their_engine_fit_one_card_of_141_gb_in_turns() -> None:
    shape, card = shape_of(QWEN3_4B), Hardware(16, 128 << 30, (Gpu("H200", 150_754_820_096),))
    work = replace(WORK, at_once=512, sequence=2500, in_a_pass=16384)
    cost = cost_of(shape, work, card, half=True, processes=1, spread=replace(HALF, recomputed=True))
    assert cost.engine is not None
    sampling, training = (sum(parts.values()) for parts in (cost.engine.sampling, cost.engine.training))
    assert cost.device_bytes is not None
    assert training < sampling < cost.device_bytes - (20 << 30)
    # Gradients and 16-bit copies, 6 bytes a parameter, are not there beside the engine.
    assert sampling == pytest.approx(12 * 4.02e9 + 75.4e9 + 0.5e9, rel=0.01)
    assert cost.engine.cached_tokens == pytest.approx((75.4e9 - 8.04e9) / (2 * 36 * 1024 * 2), rel=0.01)


def test_a_plan_tells_both_and_an_engine_whose_weights_do_not_fit() -> None:
    said = _turns(EngineMemory({"a": 3 << 30}, {"a": 1 << 30, "b": 1 << 30}, 1 << 30, 70_000))
    assert said == (
        "3.0 GiB while it samples (1.0 GiB for its weights, a cache of at most 70,000 tokens), 2.0 GiB while the trainer "
        "trains and it sleeps"
    )
    assert "its weights of 1.0 GiB do NOT fit: raise gpu_memory_utilization" in _turns(EngineMemory({}, {}, 1 << 30, 0))
