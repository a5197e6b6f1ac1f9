"""What a plan says of how forwards and samplers will compute: as far as the configuration tells, and nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest

from prerl_spec.compiler.compile import check_spec
from prerl_spec.compiler.hardware import Gpu, Hardware
from prerl_spec.compiler.plan import Plan
from prerl_spec.compiler.planning.planner import make_plan
from prerl_spec.compiler.render.render_plan import render_plan
from prerl_spec.testing.tiny import save_tiny
from tests.compiler.specs import TINY

CPUS = Hardware(2, 1 << 34)
CARD = Hardware(16, 1 << 40, (Gpu("G", 80 << 30),))


def planned(folder: Path, *changes: tuple[str, str], hardware: Hardware = CPUS) -> Plan:
    text = TINY
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    file = folder / "spec.toml"
    file.write_text(text)
    return make_plan(check_spec(file)[0], hardware)


def on_a_saved_model(folder: Path, settings: str) -> tuple[str, str]:
    """Replaces the model of the spec by a saved one with these settings."""
    save_tiny(folder / "model")
    of_spec = TINY[TINY.index("[model]") : TINY.index("[data.corpus]")]
    return of_spec, f'[model]\nuse = "hf_causal"\nname = "{folder / "model"}"\n{settings}\n'


def test_a_plain_decoder_is_expected_to_be_decoded_by_a_step_of_its_own(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    assert plan.computing["sampler transformers"].startswith("each token by a step of its own, if the check")
    assert plan.computing["training"].startswith(
        "the samples of a pass in one row without padding, attention sequence by sequence, if"
    )
    assert Plan.from_json(plan.as_json()).computing == plan.computing
    words = " ".join(render_plan(plan).split())
    assert "computing sampler transformers: each token by a step of its own" in words


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (
            {"use_sliding_window": True, "sliding_window": 8, "layer_types": None, "max_window_layers": 1},
            "its attention has a sliding window",
        ),
        ({"final_softcapping_value": 30.0}, "`final_softcapping_value` acts on large numbers"),
    ],
)
def test_a_decoder_with_more_is_expected_to_be_decoded_by_its_own_forward(
    tmp_path: Path, config: dict[str, Any], words: str
) -> None:
    saved = on_a_saved_model(tmp_path, "")
    file = tmp_path / "model" / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **config}))
    expected = planned(tmp_path, saved).computing["sampler transformers"]
    assert expected == f"each token by the model's own forward: {words}"


def test_an_adapter_is_expected_to_be_decoded_by_the_models_own_forward(tmp_path: Path) -> None:
    plan = planned(tmp_path, on_a_saved_model(tmp_path, 'adapter = { use = "lora", rank = 2 }'))
    assert plan.computing["sampler transformers"].startswith("each token by the model's own forward: an adapter")


def test_what_no_configuration_tells_is_found_at_the_opening(tmp_path: Path) -> None:
    olmo = (('model_type = "qwen3"', 'model_type = "olmo"'), ("head_dim = 32\n", ""))
    other = planned(tmp_path, *olmo).computing["sampler transformers"]
    assert other.startswith("found when it opens: a step of its own if the parts of `olmo`")
    absent = (
        "[model]" + TINY.split("[model]")[1].split("[data.corpus]")[0],
        '[model]\nuse = "hf_causal"\nname = "no/body"\n',
    )
    assert planned(tmp_path, absent).computing["sampler transformers"].startswith("found when it opens: config.json")


def test_on_a_gpu_in_16_bits_the_attention_of_a_row_is_one_kernel(tmp_path: Path) -> None:
    in_16_bits = ("[sampler]\n", '[distributed]\nprecision = "bfloat16"\n[sampler]\n')
    assert "by one kernel (varlen_attn)" in planned(tmp_path, in_16_bits, hardware=CARD).computing["training"]
    assert "sequence by sequence" in planned(tmp_path, hardware=CARD).computing["training"]
    assert "sequence by sequence" in planned(tmp_path, in_16_bits).computing["training"]


def test_eager_attention_keeps_a_row_for_each_sample(tmp_path: Path) -> None:
    plan = planned(tmp_path, on_a_saved_model(tmp_path, 'attention = "eager"'))
    assert plan.computing["training"].startswith("a row a sample: attention")
