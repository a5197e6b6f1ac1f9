"""Costs: the parameter count against real models, and the formulas by hand."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from prerl_components.adapters.lora import Lora
from transformers import AutoModelForCausalLM

from prerl_spec.compiler.compile import check_spec
from prerl_spec.compiler.estimates.estimate import (
    LOGIT_BLOCK,
    LOGIT_COLUMNS,
    LOGIT_SHARE,
    Shape,
    Spread,
    Workload,
    cost_of,
    sampling_seconds,
    shape_of,
)
from prerl_spec.compiler.estimates.step_seconds import CPU_LAUNCHES, GPU_LAUNCHES, GPU_TRAIN_FLOPS
from prerl_spec.compiler.estimates.unknown import NotKnown
from prerl_spec.compiler.hardware import Gpu, Hardware
from prerl_spec.compiler.plan import Plan
from prerl_spec.compiler.planning.planner import make_plan
from prerl_spec.engine.policy.head.blocks import BLOCK_ELEMENTS, BYTES_PER_LOGIT, LEAST_COLUMNS
from prerl_spec.testing import tiny

CPU = Hardware(2, 16 << 30)
SHAPE = Shape(num_parameters=1000, num_layers=2, hidden=8, attention_width=16, kv_width=4, inner=32, vocabulary=50)
WORK = Workload(trained=100, scored=10, sampled=50, at_once=6, sequence=20, in_a_pass=64)


@pytest.mark.parametrize("family", ["qwen3", "llama", "gpt2"])
def test_parameters_agree_with_a_real_model(family: tiny.Shape) -> None:
    model = tiny.tiny_model(family)
    real = sum(p.numel() for p in model.parameters())
    counted = shape_of(tiny.tiny_config(family).to_dict()).num_parameters
    # Biases, norms of queries and keys, and GPT-2's learned positions are not counted: nothing next to the matrices.
    assert counted == pytest.approx(real, rel=0.02 if family != "gpt2" else 0.6)
    assert counted <= real


QWEN3_4B = {
    "hidden_size": 2560,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "intermediate_size": 9728,
    "vocab_size": 151936,
    "tie_word_embeddings": True,
}


def test_the_published_size_of_a_large_model() -> None:
    assert shape_of(QWEN3_4B).num_parameters == pytest.approx(4.02e9, rel=0.005)


@pytest.mark.parametrize("config", [{"hidden_size": 8}, {"num_experts": 8, "hidden_size": 8}, {}])
def test_a_shape_that_is_not_known_says_so(config: dict[str, int]) -> None:
    with pytest.raises(NotKnown):
        shape_of(config)


def test_the_plan_knows_the_engines_blocks() -> None:
    assert (LOGIT_BLOCK, LOGIT_COLUMNS, LOGIT_SHARE) == (BLOCK_ELEMENTS, LEAST_COLUMNS, BYTES_PER_LOGIT)
    large = replace(SHAPE, vocabulary=151_936)

    def logits(tokens: int, hardware: Hardware) -> float:
        sizes = []
        for shape in (large, replace(large, vocabulary=0)):
            cost = cost_of(shape, replace(WORK, in_a_pass=tokens), hardware, half=False, processes=1)
            sizes.append(cost.memory_bytes["activations of a pass"])
        return (sizes[0] - sizes[1]) / (3 * 4)

    assert logits(512, CPU) / 1.8 == pytest.approx(1 << 19, rel=1e-3)
    assert logits(4096, CPU) / 1.8 == pytest.approx(256 * 4096, rel=1e-3)
    card = Hardware(8, 64 << 30, (Gpu("card", 80 << 30),))
    assert logits(16_384, card) / 1.25 == pytest.approx(80 << 20, rel=1e-3)


def test_six_flops_a_trained_parameter_and_token_and_two_a_scored_or_drawn_one() -> None:
    cost = cost_of(SHAPE, WORK, CPU, half=False, processes=1)
    assert cost.teraflop_per_step == pytest.approx((6 * 100 + 2 * 10 + 2 * 50) * 1000 / 1e12)


def test_memory_by_hand() -> None:
    memory = cost_of(SHAPE, WORK, CPU, half=False, processes=1).memory_bytes
    kept = 64 * 2 * 4 * (6 * 8 + 7 * 16 + 2 * 4 + 4 * 32) + 3 * 4 * 64 * 50
    assert memory == {
        "libraries": 440 << 20,
        "weights, gradients, moments": 16_000,
        "activations of a pass": round(1.8 * kept),
    }
    halved = cost_of(SHAPE, replace(WORK, reference=True), CPU, half=True, processes=2).memory_bytes
    kept = 64 * 2 * (4 * (4 * 8 + 16 + 4) + 2 * (5 * 8 + 6 * 16 + 4 + 4 * 32)) + 3 * 4 * 64 * 50
    assert halved["16-bit weights"] == 2000
    assert halved["reference model"] == 4000
    assert halved["activations of a pass"] == round(1.8 * kept)


def test_a_cache_that_is_larger_than_a_pass_is_the_peak() -> None:
    work = replace(WORK, at_once=6000)
    memory = cost_of(SHAPE, work, CPU, half=False, processes=1).memory_bytes
    assert memory["the sampler's cache"] == 2 * 2 * 4 * 4 * 6000 * 20
    assert "activations of a pass" not in memory
    halved = cost_of(SHAPE, work, CPU, half=True, processes=2).memory_bytes
    assert halved["the sampler's cache"] == 2 * 2 * 4 * 2 * 3000 * 20


LAYERED = replace(SHAPE, linear={"up": (8, 20), "down": (20, 8)})
"""336 parameters a layer, 328 outside of them."""


def test_memory_of_shards_by_hand() -> None:
    assert (LAYERED.of_a_layer, LAYERED.outside_layers) == (336, 328)
    work = replace(WORK, reference=True)
    whole, shards = (
        cost_of(LAYERED, work, CPU, half=True, processes=4, spread=Spread(sharded=sharded)).memory_bytes
        for sharded in (False, True)
    )
    assert shards == {
        "libraries": 440 << 20,
        "weights, gradients, moments": 16_000 // 4,
        "reference model": 4000 // 4,
        "activations of a pass": whole["activations of a pass"],
        "gathered weights of a pass": (2 + 4) * 328 + (2 * 2 + 2 * 4) * 336,
    }
    in_float = cost_of(LAYERED, work, CPU, half=False, processes=4, spread=Spread(sharded=True)).memory_bytes
    assert in_float["gathered weights of a pass"] == (4 + 4) * 328 + (2 * 4 + 2 * 4) * 336
    alone = cost_of(LAYERED, work, CPU, half=True, processes=1, spread=Spread(sharded=True))
    assert alone.memory_bytes == whole, "one process holds everything"


def test_gradients_of_several_passes_are_whole_unless_each_pass_sums_them() -> None:
    def whole(trained: int, **how: bool) -> int | None:
        work = replace(WORK, trained=trained)
        cost = cost_of(LAYERED, work, CPU, half=False, processes=4, spread=Spread(sharded=True, **how))
        return cost.memory_bytes.get("whole gradients of an update")

    assert whole(4 * WORK.in_a_pass) is None, "one pass on each process sums at once"
    assert whole(4 * WORK.in_a_pass + 1) == 4000
    assert whole(4 * WORK.in_a_pass + 1, sums_every_pass=True) is None


def test_while_the_trainers_module_draws_its_shards_are_whole() -> None:
    work, sharded = replace(WORK, at_once=60_000), Spread(sharded=True)
    cache = 2 * 2 * 4 * 4 * 15_000 * 20
    memory = cost_of(LAYERED, work, CPU, half=False, processes=4, spread=sharded).memory_bytes
    assert memory["the sampler's cache"] == cache
    assert memory["whole weights while sampling"] == 4000
    gpus = Hardware(8, 64 << 30, (Gpu("card", 80 << 30),) * 4)
    engine = replace(sharded, engine_share=0.5)
    beside = cost_of(LAYERED, work, gpus, half=False, processes=4, spread=engine).memory_bytes
    assert beside["the sampler's engine"] == 40 << 30
    assert "whole weights while sampling" not in beside
    elsewhere = replace(sharded, engine_share=0.0)
    assert (
        "activations of a pass" in cost_of(LAYERED, work, gpus, half=False, processes=4, spread=elsewhere).memory_bytes
    )


def test_recomputation_keeps_the_inputs_of_layers_and_one_layer_at_work() -> None:
    kept, again = LAYERED.kept_bytes(half=False), LAYERED.kept_bytes(half=False, recomputed=True)
    assert again == 2 * 4 * 8 + kept // 2
    cost = cost_of(LAYERED, WORK, CPU, half=False, processes=1, spread=Spread(recomputed=True))
    assert cost.memory_bytes["activations of a pass"] == round(4.8 * (64 * again + 3 * 4 * 64 * 50))
    assert cost.teraflop_per_step == pytest.approx((8 * 100 + 2 * 10 + 2 * 50) * 1000 / 1e12)


def test_the_4b_experiment_fits_eight_cards_of_80_gib_in_shards_only() -> None:
    shape = shape_of(QWEN3_4B)
    cards = Hardware(128, 1 << 40, (Gpu("card", 80 << 30),) * 8)
    # 128 prompts of some 200 tokens, 8 responses each of up to 8192: no pass is shorter than one of them.
    work = Workload(trained=1024 * 8400, scored=0, sampled=1, at_once=1024, sequence=8400, in_a_pass=8400)
    ways = {
        "whole": Spread(engine_share=0.5),
        "in shards": Spread(sharded=True, engine_share=0.5),
        "in shards, activations computed again": Spread(sharded=True, recomputed=True, engine_share=0.5),
    }
    gib = {
        way: sum(cost_of(shape, work, cards, half=True, processes=8, spread=spread).memory_bytes.values()) / 2**30
        for way, spread in ways.items()
    }
    assert gib["whole"] > gib["in shards"] > 80 > gib["in shards, activations computed again"]
    # The engine's 40 and 12 bytes for an eighth of the parameters: gradients are freed while it samples.
    assert gib["in shards, activations computed again"] == pytest.approx(46.1, abs=0.1)


@pytest.mark.parametrize(("half", "heads"), [(False, 1), (False, 2), (True, 1)])
def test_kept_bytes_are_those_that_autograd_keeps(half: bool, heads: int) -> None:
    config = tiny.tiny_config("qwen3")
    config.update({"num_key_value_heads": heads, "hidden_size": 128, "head_dim": 64, "intermediate_size": 256})
    untyped: Any = AutoModelForCausalLM
    module = untyped.from_config(config, dtype=torch.float32)
    owned = {p.untyped_storage().data_ptr() for p in module.parameters()}
    kept: dict[int, int] = {}
    alive = []

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in owned:
            kept[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)
        return tensor

    ids = torch.zeros(8, 64, dtype=torch.long)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t), torch.autocast("cpu", torch.bfloat16, half):
        module.base_model(input_ids=ids, use_cache=False)
    shape = shape_of(config.to_dict())
    weights = 2 * shape.num_layers * (shape.num_parameters - shape.vocabulary * shape.hidden) / shape.num_layers
    measured = sum(kept.values()) - (weights if half else 0)
    # What comes before and after the layers, and masks, are not counted.
    assert shape.kept_bytes(half=half) * ids.numel() == pytest.approx(measured, rel=0.05)


def test_a_cache_never_takes_more_than_its_share_of_the_device() -> None:
    huge = Workload(trained=1, scored=0, sampled=1, at_once=10**6, sequence=10**4, in_a_pass=64)
    gpu = Hardware(16, 1 << 37, (Gpu("A", 80 << 30),))
    assert cost_of(SHAPE, huge, gpu, half=True, processes=1).memory_bytes["the sampler's cache"] == 10 << 30


def test_processes_share_the_work_as_far_as_there_are_devices() -> None:
    gpus = Hardware(16, 1 << 37, (Gpu("A", 1 << 36),) * 2)
    work = Workload(trained=10**9, scored=0, sampled=0, at_once=0, sequence=0, in_a_pass=64)
    seconds = [cost_of(SHAPE, work, gpus, half=True, processes=n).seconds_per_step for n in (1, 2, 4)]
    shared = 6e12 / GPU_TRAIN_FLOPS + 10**9 / 64 * SHAPE.num_layers * GPU_LAUNCHES.layer_of_pass
    assert seconds[0] == pytest.approx(shared + GPU_LAUNCHES.step)
    assert seconds[1] == seconds[2] == pytest.approx(shared / 2 + GPU_LAUNCHES.step)

    def sampled(tokens: int, processes: int, new_tokens: int) -> float:
        return sampling_seconds(
            SHAPE, tokens, CPU, processes=processes, rows=5, new_tokens=new_tokens, half=False, spread=Spread()
        )

    assert sampled(100, 2, 0) == pytest.approx(sampled(50, 1, 0))
    # A token step takes as long for few rows as for many: its layers are called all the same.
    assert sampled(100, 1, 20) - sampled(100, 1, 0) == pytest.approx(
        20 * SHAPE.num_layers * CPU_LAUNCHES.layer_of_token
    )


@pytest.mark.parametrize("family", tiny.SHAPES)
def test_an_adapters_size_agrees_with_real_layers(family: tiny.Shape) -> None:
    module = tiny.tiny_model(family)
    adapter = Lora(rank=4).attach(module, "tiny", None, 0)
    real = sum(p.numel() for p in adapter.parameters().values())
    shape = shape_of(tiny.tiny_config(family).to_dict())
    assert shape.num_layers * Lora(rank=4).num_parameters(shape.linear) == real


def test_targets_are_counted_by_the_end_of_their_name() -> None:
    linear = {"q_proj": (8, 16), "o_proj": (16, 8), "gate_proj": (8, 32)}
    assert Lora(rank=2, targets=("q_proj", "self_attn.o_proj")).num_parameters(linear) == 2 * (24 + 24)
    fused = {"c_proj": (8, 8), "mlp.c_proj": (32, 8)}
    assert Lora(rank=2, targets=("c_proj",)).num_parameters(fused) == 2 * (16 + 40)


def test_a_frozen_model_keeps_no_gradients_and_no_second_copy_as_reference() -> None:
    work = replace(WORK, reference=True)
    cost = cost_of(SHAPE, work, CPU, half=True, processes=1, adapter=50)
    whole = cost_of(SHAPE, work, CPU, half=True, processes=1).memory_bytes
    told = {k: v for k, v in cost.memory_bytes.items() if k not in ("libraries", "activations of a pass")}
    assert told == {"frozen weights": 2000, "adapter, gradients, moments": 800, "reference adapter": 200}
    assert cost.memory_bytes["activations of a pass"] == whole["activations of a pass"]
    assert cost_of(SHAPE, work, CPU, half=False, processes=1, adapter=50).memory_bytes["frozen weights"] == 4000
    assert cost.teraflop_per_step == pytest.approx(((4 * 1000 + 6 * 50) * 100 + 2 * 1000 * (10 + 50)) / 1e12)


@pytest.mark.parametrize(
    ("phase", "share", "measured"),
    [("pretrain", 1.0, 0.120), ("prune", 0.45, 0.56), ("refine", 0.45, 0.58)],
)
def test_steps_of_the_quickstart_take_about_as_long_as_measured(phase: str, share: float, measured: float) -> None:
    """Medians of seconds a step, one thread of an AMD EPYC, with responses of 49 of 110 tokens: docs/planning.md."""
    plan = quickstart_plan()
    cost = next(p.cost for p in plan.phases if p.id == phase)
    assert cost is not None
    assert cost.seconds_at(share) == pytest.approx(measured, rel=0.25)


@cache
def quickstart_plan() -> Plan:
    one = check_spec(Path(__file__).parents[2] / "specs" / "quickstart.toml", sets=("distributed.processes=1",))[0]
    return make_plan(one, Hardware(2, 16 << 30))
