"""The adapter `lora`: what it is at first, what it computes, which layers it takes, and the files that it leaves."""

import json
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from prerl_components.adapters.lora import Lora
from prerl_components.models.hf_causal import HfCausal
from prerl_components.samplers.shared.frozen_access import FrozenAccess
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from prerl_spec.engine.policy.policy import Policy
from prerl_spec.engine.policy.weights import adapted_tensors, save_transformers, whole_weights
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.errors import SpecInvalid
from prerl_spec.registry.kinds.model import AttachedAdapter, LoadedModel, ModelSite
from prerl_spec.testing.tiny import SHAPES, Shape, save_tiny
from tests.compiler.specs import found_in, under

IDS = torch.arange(40).reshape(2, 20) * 5 % 259
CLASSES: Any = AutoModelForCausalLM
SPEC = """
spec = 1
run.name = "tiny"
model = { use = "hf_causal", name = "some/model", adapter = { use = "lora", SETTINGS } }
data.train = { use = "arithmetic_chains" }
data.corpus = { use = "arithmetic_chains", part = "corpus" }
optimizer = { use = "adamw", lr = 1e-3 }
"""
DOCUMENTS = """
[[phases]]
id = "learn"
data = "corpus"
documents_per_step = 4
objective = "next_token"
schedule = { use = "fixed_steps", steps = 2 }
"""
SAMPLED = """
[[phases]]
id = "refine"
prompts_per_step = 4
objective = "grpo"
sampler = "transformers"
verifier = "exact_match"
schedule = { use = "fixed_steps", steps = 2 }
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for shape in SHAPES:
        save_tiny(folder / shape, shape)
    return folder


def built(folder: Path, *, seed: int = 0, dtype: str = "float32", **settings: Any) -> LoadedModel:
    adapter = Lora(**settings) if settings else None
    site = ModelSite(seed=seed, device="cpu", tokenizer_folder=lambda name: folder)
    return HfCausal(name=str(folder), dtype=dtype, adapter=adapter).build(site)  # type: ignore[arg-type]


def adapter_of(loaded: LoadedModel) -> AttachedAdapter:
    assert loaded.adapter is not None
    return loaded.adapter


def moved(loaded: LoadedModel) -> LoadedModel:
    """With an adapter that has learned something."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in adapter_of(loaded).parameters().values():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return loaded


def save(loaded: LoadedModel, folder: Path, *, merged: bool = True) -> None:
    save_transformers(loaded, folder, whole_weights(loaded, Ranks.start(), merged=merged))


@torch.no_grad()
def logits(model: Any) -> Tensor:
    found: Tensor = model(input_ids=IDS).logits
    return found


@pytest.mark.parametrize("shape", SHAPES)
def test_an_adapter_begins_by_changing_nothing(saved: Path, shape: Shape) -> None:
    assert torch.equal(logits(built(saved / shape, rank=4).module), logits(built(saved / shape).module))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_base_is_back_bit_for_bit_while_the_adapter_is_off(saved: Path, dtype: str) -> None:
    loaded = built(saved / "qwen3", dtype=dtype, rank=4)
    before = logits(loaded.module)
    moved(loaded)
    assert not torch.equal(logits(loaded.module), before)
    with adapter_of(loaded).off():
        assert torch.equal(logits(loaded.module), before)
    assert all(p.requires_grad for p in adapter_of(loaded).parameters().values())


@pytest.mark.parametrize("shape", SHAPES)
def test_outputs_are_those_of_w_plus_alpha_over_rank_b_a(saved: Path, shape: Shape) -> None:
    loaded = moved(built(saved / shape, rank=4, alpha=6.0))
    plain: Any = built(saved / shape).module
    plain.load_state_dict(dict(adapted_tensors(adapter_of(loaded), merged=True)), strict=False)
    # Two orders of the same sums in float32.
    torch.testing.assert_close(logits(loaded.module), logits(plain), rtol=1e-4, atol=1e-4)


def test_the_gradient_is_that_of_an_explicit_w_plus_alpha_over_rank_b_a(saved: Path) -> None:
    loaded = moved(built(saved / "qwen3", rank=3, alpha=6.0, targets=("q_proj",)))
    module: Any = loaded.module
    module(input_ids=IDS).logits.logsumexp(-1).sum().backward()
    plain: Any = built(saved / "qwen3").module
    found = adapter_of(loaded).parameters()
    explicit = {name: p.detach().clone().requires_grad_() for name, p in found.items()}
    weights = dict(plain.named_parameters())
    for layer in range(2):
        at = f"model.layers.{layer}.self_attn.q_proj"
        a_rd, b_or = (explicit[f"{at}.lora_{side}.default.weight"] for side in "AB")
        weights[f"{at}.weight"] = weights[f"{at}.weight"].detach() + 6.0 / 3 * (b_or @ a_rd)
    out: Any = torch.func.functional_call(plain, weights, kwargs={"input_ids": IDS})
    out.logits.logsumexp(-1).sum().backward()
    for name, parameter in found.items():
        torch.testing.assert_close(parameter.grad, explicit[name].grad, rtol=1e-4, atol=1e-5)
    assert all(p.grad is None for n, p in module.named_parameters() if n not in found)


@pytest.mark.parametrize("shape", SHAPES)
def test_all_linear_leaves_the_head_alone(saved: Path, shape: Shape) -> None:
    loaded = built(saved / shape, rank=2)
    module: Any = loaded.module
    taken = {name.partition(".lora_")[0] for name in adapter_of(loaded).parameters()}
    plain: Any = built(saved / shape).module
    linear = {n for n, m in plain.named_modules() if isinstance(m, nn.Linear) or type(m).__name__ == "Conv1D"}
    assert taken == {n for n in linear if plain.get_submodule(n) is not plain.get_output_embeddings()}
    assert isinstance(module.get_output_embeddings(), nn.Linear)
    assert type(module).__name__ == type(plain).__name__


def test_every_target_must_be_the_name_of_a_layer(saved: Path) -> None:
    with pytest.raises(SpecInvalid) as caught:
        built(saved / "qwen3", targets=("q_proj", "v_prj", "lm_head"))
    first, second = caught.value.diagnostics
    assert (first.code, first.path, first.help) == ("E0207", "model.adapter.targets[1]", "did you mean `v_proj`?")
    assert "`lm_head`" in second.message
    assert "down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj" in second.notes[0]
    some = adapter_of(built(saved / "qwen3", targets=("layers.1.self_attn.q_proj", "o_proj"))).parameters()
    assert {n.partition(".lora_")[0] for n in some} == {
        "model.layers.1.self_attn.q_proj",
        "model.layers.0.self_attn.o_proj",
        "model.layers.1.self_attn.o_proj",
    }


def test_the_seed_draws_a_and_the_base_has_no_part_in_it(saved: Path) -> None:
    def drawn(**settings: Any) -> dict[str, Tensor]:
        return {n: p.detach() for n, p in adapter_of(built(saved / "qwen3", rank=4, **settings)).parameters().items()}

    state = torch.get_rng_state()
    first, again, other = drawn(seed=3), drawn(seed=3, dtype="bfloat16"), drawn(seed=4)
    assert torch.equal(torch.get_rng_state(), state)
    for name, value in first.items():
        assert torch.equal(value, again[name])
        assert value.dtype == torch.float32
        assert torch.equal(value, other[name]) is (".lora_B." in name)
        assert bool(value.any()) is (".lora_A." in name)


def test_a_base_in_sixteen_bits_takes_two_bytes_a_weight_and_nothing_else(saved: Path) -> None:
    policy = Policy(built(saved / "qwen3", dtype="bfloat16", rank=4), torch.device("cpu"))
    assert policy.arrangement == "flat"
    assert policy.plain_head
    kinds = {(p.requires_grad, p.dtype) for p in policy.module.parameters()}
    assert kinds == {(True, torch.float32), (False, torch.bfloat16)}
    assert policy.loaded.source["parameters"] == sum(p.numel() for p in built(saved / "qwen3").module.parameters())
    assert policy.loaded.source["adapter_parameters"] == sum(p.numel() for _, p in policy.parameters())


@pytest.mark.parametrize("shape", SHAPES)
def test_its_files_open_with_peft_and_with_transformers(saved: Path, tmp_path: Path, shape: Shape) -> None:
    loaded = moved(built(saved / shape, rank=4))
    expected = logits(loaded.module)
    save(loaded, tmp_path / "end")
    save(loaded, tmp_path / "between", merged=False)
    on_base = peft.PeftModel.from_pretrained(CLASSES.from_pretrained(saved / shape), tmp_path / "end" / "adapter")
    assert torch.equal(logits(on_base.eval()), expected)
    assert torch.equal(logits(CLASSES.from_pretrained(tmp_path / "between").eval()), expected)
    # One matrix in place of two: the same sums in another order.
    torch.testing.assert_close(logits(CLASSES.from_pretrained(tmp_path / "end").eval()), expected, rtol=1e-4, atol=1e-4)
    for folder in (tmp_path / "end", tmp_path / "between"):
        again = built(folder)
        torch.testing.assert_close(logits(again.module), expected, rtol=1e-4, atol=1e-4)
        assert not any("lora" in name for name, _ in again.module.named_parameters())
        assert all(p.requires_grad for p in again.module.parameters())


def test_the_same_adapter_is_the_same_bytes(saved: Path, tmp_path: Path) -> None:
    loaded = moved(built(saved / "qwen3", rank=4))
    for name in ("one", "two"):
        save(loaded, tmp_path / name, merged=False)
    told = [(tmp_path / name / "adapter_config.json").read_bytes() for name in ("one", "two")]
    assert told[0] == told[1]
    targets = json.loads(told[0])["target_modules"]
    assert targets == sorted(targets)


def test_a_merged_model_keeps_what_bfloat16_would_lose(saved: Path, tmp_path: Path) -> None:
    loaded = built(saved / "qwen3", dtype="bfloat16", rank=4)
    with torch.no_grad():
        for parameter in adapter_of(loaded).parameters().values():
            parameter.fill_(1e-4)
    merged = dict(adapted_tensors(adapter_of(loaded), merged=True))
    base = dict(adapted_tensors(adapter_of(loaded), merged=False))
    name = "model.layers.0.self_attn.q_proj.weight"
    assert torch.equal(merged[name].bfloat16(), base[name].bfloat16())
    save(loaded, tmp_path)
    again: Any = CLASSES.from_pretrained(tmp_path)
    assert again.dtype == torch.float32
    torch.testing.assert_close(again.get_parameter(name).detach() - base[name], merged[name] - base[name])
    assert (merged[name] != base[name]).any()


@pytest.mark.parametrize(
    ("settings", "phases", "told"),
    [
        ("dropout = 0.1", SAMPLED, ["dropout has no effect"]),
        ("dropout = 0.1", DOCUMENTS + SAMPLED, []),
        ("dropout = 0.0", SAMPLED, []),
        ("merge = true", DOCUMENTS + SAMPLED, ["merge has no effect"]),
        ("merge = true", SAMPLED.replace("transformers", "vllm"), []),
        ("merge = true, dropout = 0.1", SAMPLED, ["dropout has no effect", "merge has no effect"]),
    ],
)
def test_a_setting_that_no_phase_can_use_is_told(settings: str, phases: str, told: list[str]) -> None:
    text = SPEC.replace("SETTINGS", settings) + phases
    found = [d for d in found_in(text) if d.severity == "error" or d.code == "W0702"]
    assert [d.code for d in found] == ["W0702"] * len(told)
    assert sorted(d.message.partition(":")[0] for d in found) == told
    assert all(under(text, d) in ("0.1", "true") for d in found)


def test_a_model_that_nobody_trains_gives_samplers_base_and_adapter_in_one(saved: Path) -> None:
    loaded = moved(built(saved / "qwen3", rank=4))
    given = dict(FrozenAccess(loaded).tensors())
    expected = dict(adapted_tensors(adapter_of(loaded), merged=True))
    assert given.keys() == expected.keys()
    assert all(torch.equal(given[name], expected[name]) for name in given)
