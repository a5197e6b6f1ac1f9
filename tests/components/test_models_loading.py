"""Models: float32 weights from a seed or a checkpoint, and a plain reason where there is none."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from prerl_components.data.arithmetic_chains import ArithmeticChains
from prerl_components.models import hub_access
from prerl_components.models.from_scratch import FromScratch
from prerl_components.models.hf_causal import HfCausal
from prerl_components.models.initialising import known_keys
from prerl_components.models.setting_mistakes import load_mistakes
from prerl_components.models.transformers_sources import (
    causal_types,
    configuration_keys,
    loading_words,
    settable_properties,
)
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from prerl_spec.errors import EnvironmentUnmet, SpecInvalid
from prerl_spec.sdk import Codec, LoadedModel, ModelSite

TINY: dict[str, Any] = {
    "model_type": "qwen3",
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "intermediate_size": 32,
    "tie_word_embeddings": True,
}


@pytest.fixture(scope="module")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    for name, content in ArithmeticChains().tokenizer_files().items():
        (folder / name).write_text(content, encoding="utf-8")
    return folder


@pytest.fixture
def site(tokenizer_folder: Path) -> ModelSite:
    return ModelSite(seed=0, device="cpu", tokenizer_folder=lambda name: tokenizer_folder)


@pytest.fixture
def saved(site: ModelSite, tmp_path: Path) -> Path:
    loaded = FromScratch(config=TINY, tokenizer="data:corpus").build(site)
    loaded.module.save_pretrained(tmp_path / "saved")
    loaded.tokenizer.save_pretrained(tmp_path / "saved")
    return tmp_path / "saved"


def weights(loaded: LoadedModel) -> list[torch.Tensor]:
    return list(loaded.module.state_dict().values())


def same(one: LoadedModel, other: LoadedModel) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


def test_weights_follow_from_the_seed_alone(tokenizer_folder: Path) -> None:
    def build(seed: int, own: int | None = None) -> LoadedModel:
        site = ModelSite(seed=seed, device="cpu", tokenizer_folder=lambda name: tokenizer_folder)
        return FromScratch(config=TINY, tokenizer="data:corpus", seed=own).build(site)

    torch.manual_seed(1)
    one = build(0)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    assert same(one, build(0))
    assert not same(one, build(1))
    assert same(one, build(1, own=0)), "a seed of its own goes before that of the run"
    assert build(1, own=0).source["seed"] == 0
    assert torch.equal(torch.get_rng_state(), before)


def test_the_vocabulary_and_special_tokens_come_from_the_tokenizer(site: ModelSite) -> None:
    loaded = FromScratch(config=TINY, tokenizer="data:corpus").build(site)
    config = loaded.module.config
    assert config.vocab_size == loaded.codec.vocab_size == 98
    assert (config.bos_token_id, config.eos_token_id, config.pad_token_id) == (0, 1, 2)
    assert loaded.codec.eos_ids == (1,)


def test_a_written_vocabulary_is_kept(site: ModelSite) -> None:
    loaded = FromScratch(config={**TINY, "vocab_size": 128}, tokenizer="data:corpus").build(site)
    assert loaded.module.get_input_embeddings().num_embeddings == 128


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_dtype_is_what_forwards_compute_in_and_weights_stay_float32(site: ModelSite, saved: Path, dtype: str) -> None:
    for loaded in (
        FromScratch(config=TINY, tokenizer="data:corpus", dtype=dtype).build(site),
        HfCausal(name=str(saved), dtype=dtype).build(site),
    ):
        assert loaded.compute_dtype is getattr(torch, dtype)
        assert {p.dtype for p in loaded.module.parameters()} == {torch.float32}


def test_a_bfloat16_checkpoint_is_trained_in_float32(site: ModelSite, saved: Path) -> None:
    AutoModelForCausalLM.from_pretrained(saved).to(torch.bfloat16).save_pretrained(saved)
    assert {t.dtype for t in load_file(saved / "model.safetensors").values()} == {torch.bfloat16}
    assert {p.dtype for p in HfCausal(name=str(saved)).build(site).module.parameters()} == {torch.float32}


def test_what_was_saved_loads_as_it_was_and_with_stock_classes(site: ModelSite, saved: Path) -> None:
    fresh = FromScratch(config=TINY, tokenizer="data:corpus").build(site)
    loaded = HfCausal(name=str(saved)).build(site)
    assert same(fresh, loaded)
    assert loaded.codec.eos_ids == Codec.from_folder(saved).eos_ids == (1,)
    stock = AutoModelForCausalLM.from_pretrained(saved)
    ids = AutoTokenizer.from_pretrained(saved)("Q: 2 a:+2 ?", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        assert torch.equal(stock.eval()(ids).logits, loaded.module(ids).logits)


def test_every_end_of_the_generation_config_ends_a_response(site: ModelSite, saved: Path) -> None:
    (saved / "generation_config.json").write_text(json.dumps({"eos_token_id": [5, 7]}))
    assert HfCausal(name=str(saved)).build(site).codec.eos_ids == (5, 7, 1)
    assert Codec.from_folder(saved).eos_ids == (5, 7, 1)


def test_the_manifest_learns_where_a_model_came_from(site: ModelSite, saved: Path) -> None:
    source = HfCausal(name=str(saved)).build(site).source
    assert source["name"] == str(saved)
    assert source["configuration"] == "Qwen3Config"
    assert source["parameters"] == sum(p.numel() for p in AutoModelForCausalLM.from_pretrained(saved).parameters())


@pytest.mark.parametrize(
    ("changes", "code", "path", "words"),
    [
        ({"model_type": "qwn3"}, "E0207", "model.config.model_type", "did you mean `qwen3`?"),
        ({"hiden_size": 8}, "E0203", "model.config.hiden_size", "did you mean `hidden_size`?"),
        ({"hidden_size": "8"}, "E0202", "model.config", "hidden_size"),
        ({"vocab_size": 50}, "E0202", "model.config.vocab_size", "the tokenizer has 98 tokens"),
        ({"num_attention_heads": 3, "num_key_value_heads": 2}, "E0202", "model.config", "cannot be built"),
    ],
)
def test_a_configuration_that_cannot_be_is_a_mistake_in_the_spec(
    site: ModelSite, changes: dict[str, Any], code: str, path: str, words: str
) -> None:
    with pytest.raises(SpecInvalid) as caught:
        FromScratch(config={**TINY, **changes}, tokenizer="data:corpus").build(site)
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.code, diagnostic.path) == (code, path)
    assert words in f"{diagnostic.message} {diagnostic.help}"


@pytest.mark.parametrize("family", ["gpt2", "llama", "opt"])
def test_other_families_start_from_their_own_configuration(site: ModelSite, family: str) -> None:
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    extra = {"opt": {"ffn_dim": 16, "word_embed_proj_dim": 16}, "llama": {"rope_theta": 1e4, "intermediate_size": 16}}
    config = {"model_type": family, **shape, **extra.get(family, {})}
    assert FromScratch(config=config, tokenizer="data:x").build(site).source["name"] == family


def test_a_configuration_without_a_model_type_is_refused_before_anything_is_imported() -> None:
    with pytest.raises(ValidationError, match="model_type"):
        FromScratch(config={"hidden_size": 8}, tokenizer="data:corpus")


def remove_a_weight(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.norm.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def only_a_pickle(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def corrupt(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\x00" * 100)


def forget_the_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (remove_a_weight, "lacks 1 weights of Qwen3ForCausalLM, the first is model.norm.weight"),
        (only_a_pickle, "safetensors"),
        (corrupt, "cannot be loaded"),
        (forget_the_tokenizer, "tokenizer in"),
    ],
)
def test_a_checkpoint_that_is_not_whole_is_refused(site: ModelSite, saved: Path, damage: Any, words: str) -> None:
    damage(saved)
    with pytest.raises(EnvironmentUnmet) as caught:
        HfCausal(name=str(saved)).build(site)
    assert words in caught.value.message


def test_an_attention_that_is_not_there_is_said(site: ModelSite, saved: Path) -> None:
    with pytest.raises(EnvironmentUnmet, match="attn_implementation"):
        HfCausal(name=str(saved), attention="telepathy").build(site)


def test_an_unreachable_hub_is_named_with_what_was_wanted(site: ModelSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_access, "hub_answers", lambda: False)
    for model in (HfCausal(name="acme/no-such-model"), FromScratch(config=TINY, tokenizer="acme/no-such-model")):
        with pytest.raises(EnvironmentUnmet) as caught:
            model.build(site)
        assert "acme/no-such-model (at main)" in caught.value.message
        assert "local folder" in str(caught.value.hint)


def test_the_hub_counts_as_unreachable_where_no_connection_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_access, "getproxies", dict)
    monkeypatch.setattr(hub_access.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub_access.constants, "ENDPOINT", "http://127.0.0.1:9")
    assert not hub_access.hub_answers()
    with hub_access.cache_alone_where_unreachable():
        assert hub_access.constants.HF_HUB_OFFLINE
    assert not hub_access.constants.HF_HUB_OFFLINE


@pytest.mark.parametrize(
    "settings",
    [
        {"remote_code": "main"},
        {"remote_code": "abc123"},
        {"dtype": "int8"},
    ],
)
def test_settings_that_would_break_a_promise_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        HfCausal(name="x", **settings)


@pytest.mark.parametrize("argument", ["torch_dtype", "trust_remote_code", "weights_only"])
def test_what_the_run_decides_is_not_handed_on(argument: str, site: ModelSite) -> None:
    model = HfCausal(name="x", load={argument: True})
    assert [r.name for r in model.prerequisites() if r.what == "setting"] == [f"load.{argument}"]
    with pytest.raises(EnvironmentUnmet, match=f"load.{argument} is set by other settings"):
        model.build(site)


def test_the_tokenizer_lies_with_the_model_unless_it_is_written() -> None:
    assert HfCausal(name="a/b").tokenizer == "a/b"
    assert [r.name for r in HfCausal(name="a/b", tokenizer="c/d", revision="v2").prerequisites()] == ["a/b", "c/d"]


@pytest.mark.parametrize(
    ("attention", "needs"),
    [
        ("sdpa", []),
        ("flash_attention_2", ["gpu", "package flash-attn>=2.8"]),
        ("flash_attention_3", ["gpu", "package flash-attn-3"]),
        ("kernels-community/flash-attn2", ["setting"]),
    ],
)
def test_the_package_of_an_attention_is_a_need_and_a_kernel_of_the_hub_is_refused(
    attention: str, needs: list[str], saved: Path, site: ModelSite
) -> None:
    model = HfCausal(name=str(saved), attention=attention)
    found = model.prerequisites()
    assert [f"package {r.name}" if r.what == "package" else r.what for r in found] == needs
    if needs[-1:] == ["setting"]:
        with pytest.raises(EnvironmentUnmet, match="names code of the hub"):
            model.build(site)


def test_an_attention_of_transformers_reaches_the_model(saved: Path, site: ModelSite) -> None:
    loaded = HfCausal(name=str(saved), attention="eager").build(site)
    config: Any = loaded.module.config
    assert config._attn_implementation == "eager"


@pytest.mark.parametrize("model_type", ["qwen3", "llama", "gpt2", "xlm-roberta", "qwen3_5_text", "granitemoehybrid"])
def test_the_keys_of_a_configuration_are_read_from_its_sources_as_its_class_has_them(model_type: str) -> None:
    assert configuration_keys(model_type) == known_keys(CONFIG_MAPPING[model_type])


def test_the_types_of_models_are_read_from_the_sources_as_transformers_has_them() -> None:
    assert causal_types() == frozenset(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
    assert len(causal_types()) > 100


def test_what_from_pretrained_takes_is_among_the_words_of_its_sources() -> None:
    taken = {"low_cpu_mem_usage", "max_memory", "variant", "subfolder", "token", "ignore_mismatched_sizes", "tp_plan"}
    assert taken - loading_words() == set()
    assert not loading_words() & {"ignore_mismatched_size", "low_cpu_mem", "quantisation_config"}


@pytest.mark.parametrize("key", ["num_labels", "name_or_path", "num_hidden_layers", "variant"])
def test_what_from_pretrained_sets_of_a_configuration_is_no_unknown_key(key: str) -> None:
    assert list(load_mistakes({key: 2}, {"model_type": "qwen3"})) == []
    assert len(list(load_mistakes({f"{key}_": 2}, {"model_type": "qwen3"}))) == 1


def test_what_a_configuration_computes_and_has_no_setter_for_is_no_key() -> None:
    assert "num_labels" in settable_properties("qwen3")
    assert "use_return_dict" not in settable_properties("qwen3")
