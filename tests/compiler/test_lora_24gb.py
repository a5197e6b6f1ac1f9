"""specs/lora-24gb.toml, planned for the card that it is written for."""

import json
from pathlib import Path

from prerl_spec.compiler.compile import check_spec
from prerl_spec.compiler.hardware import Gpu, Hardware
from prerl_spec.compiler.plan import Plan
from prerl_spec.compiler.planning.planner import make_plan
from prerl_spec.compiler.render.render_plan import render_plan
from prerl_spec.testing.tiny import byte_tokenizer
from tests.compiler.test_estimate import QWEN3_4B

CARD = Gpu("NVIDIA GeForce RTX 4090", 24564 << 20)
SPEC = Path(__file__).parents[2] / "specs" / "lora-24gb.toml"


def planned(folder: Path) -> Plan:
    """With the configuration of the real model, a small tokenizer, and a few rows in place of the data."""
    model = folder / "model"
    byte_tokenizer().save_pretrained(model)
    (model / "config.json").write_text(
        json.dumps({"model_type": "qwen3", "max_position_embeddings": 40960, **QWEN3_4B})
    )
    (folder / "math-train.jsonl").write_text('{"problem": "What is 1 + 1?", "answer": "2"}\n' * 64)
    file = folder / "lora-24gb.toml"
    file.write_text(SPEC.read_text().replace('"Qwen/Qwen3-4B"', json.dumps(str(model))))
    resolved, _ = check_spec(file)
    return make_plan(resolved, Hardware(16, 64 << 30, (CARD,)))


def test_every_phase_fits_the_card_with_room_to_spare(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    assert plan.num_parameters is not None
    assert plan.adapter_parameters is not None
    # 32·(inputs + outputs) of the seven linear layers, 36 times over.
    assert plan.adapter_parameters == 36 * 32 * (6656 + 2 * 3584 + 6656 + 3 * 12288)
    for phase in plan.phases:
        assert phase.cost is not None
        assert phase.cost.engine is not None
        sampling, training = phase.cost.engine.sampling, phase.cost.engine.training
        assert sampling["frozen weights"] == training["frozen weights"] == 2 * plan.num_parameters
        assert sampling["adapter, moments"] == 12 * plan.adapter_parameters
        assert training["adapter, gradients, moments"] == 16 * plan.adapter_parameters
        assert sampling["the sampler's engine"] == round(0.55 * CARD.memory_bytes)
        for memory in (sampling, training):
            assert sum(memory.values()) < CARD.memory_bytes - (1 << 30)
        assert phase.cost.engine.cached_tokens > 30_000


def test_the_page_says_what_is_frozen_what_is_trained_and_that_a_second_model_is_not_kept(tmp_path: Path) -> None:
    page = " ".join(render_plan(planned(tmp_path)).split())
    assert "4.02 G parameters frozen in bfloat16" in page
    assert "66.1 M parameters trained in float32" in page
    assert "reference model" not in page
