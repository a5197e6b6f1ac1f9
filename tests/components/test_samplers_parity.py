"""The check before sampling: sound models pass in every dtype, with an adapter too, and wrong rows are found in each."""

import math
from copy import deepcopy
from typing import Any

import pytest
import torch
from prerl_components.samplers.embedded import parity
from prerl_components.samplers.embedded.kv_rows import KvRows
from prerl_components.samplers.embedded.sampler import EmbeddedSampler
from torch import Tensor
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from prerl_spec.sdk import EnvironmentUnmet, SamplerSite
from prerl_spec.testing.tiny import save_tiny
from tests.components.test_adapters_lora import built, moved

COMMON: dict[str, Any] = {"vocab_size": 259, "hidden_size": 32, "num_hidden_layers": 2, "initializer_range": 0.2}
HEADS: dict[str, Any] = {"num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 64}
WINDOWS: dict[str, Any] = {"sliding_window": 8, "layer_types": ["sliding_attention", "full_attention"]}
GPT2: dict[str, Any] = {"vocab_size": 259, "n_embd": 32, "n_layer": 2, "n_head": 2, "initializer_range": 0.2}
NO_IDS: dict[str, Any] = {"bos_token_id": None, "eos_token_id": None}

FAMILIES: dict[str, Any] = {
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**COMMON, **HEADS, head_dim=8)),
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**COMMON, **HEADS)),
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(**GPT2, **NO_IDS)),
    "gemma3": lambda: Gemma3ForCausalLM(Gemma3TextConfig(**COMMON, **HEADS, head_dim=8, **WINDOWS)),
    "mistral": lambda: MistralForCausalLM(MistralConfig(**COMMON, **HEADS, sliding_window=8)),
}
HALF = (torch.bfloat16, torch.float16)
CPU = torch.device("cpu")


def model(family: str, dtype: torch.dtype, seed: int = 0) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return FAMILIES[family]().to(dtype).eval()


def check(module: Any) -> int:
    with torch.inference_mode():
        return parity.check_parity(module, CPU, vocabulary=259, max_length=64, in_float32=module.dtype == torch.float32)


class SeesPadding(KvRows):
    """No row's padding is masked out."""

    def _forward(self, ids: Tensor, positions: Tensor, mask: Tensor | None) -> Tensor:
        return super()._forward(ids, positions, None)


class WrongPositions(KvRows):
    """A decoded token stands two places too far on."""

    def _forward(self, ids: Tensor, positions: Tensor, mask: Tensor | None) -> Tensor:
        return super()._forward(ids, positions + 2 * (ids.shape[1] == 1), mask)


class StaleRow(KvRows):
    """A dropped row's cache stays, and serves the row that took its place."""

    def select(self, rows: Tensor) -> None:
        super().select(torch.tensor([0, 2]) if len(rows) == 2 else rows)


class OffByOne(KvRows):
    """The first decoded token is cached twice, so that all later ones stand one place too far back in the cache."""

    def select(self, rows: Tensor) -> None:
        super().select(rows)
        if len(rows) == 3:
            layers: Any = self._cache.layers
            for layer in layers:
                layer.keys[:, :, -1] = layer.keys[:, :, 0].clone()
                layer.values[:, :, -1] = layer.values[:, :, 0].clone()


class WindowIgnored(KvRows):
    """Every layer attends to all tokens before."""

    def advance(self, token_R: Tensor) -> Tensor:
        self._ready_mask = True
        if self._seen_RT is None:
            total = self._cache.get_seq_length() + parity.NUM_NEW + 1
            self._seen_RT = torch.ones(len(token_R), total, dtype=torch.bool)
        return super().advance(token_R)


FAULTS = [(fault, family) for fault in (SeesPadding, WrongPositions, StaleRow, OffByOne) for family in FAMILIES]
FAULTS += [(WindowIgnored, "gemma3"), (WindowIgnored, "mistral")]


DTYPES = [torch.float32, torch.bfloat16, pytest.param(torch.float16, marks=pytest.mark.slow)]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_sound_model_passes_in_every_dtype_with_room_to_spare(
    family: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parity, "TOLERANCE", 2e-5)
    monkeypatch.setattr(parity, "TIMES_NOISE", 0.75)
    assert check(model(family, dtype)) > 0


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", DTYPES[1:], ids=str)
def test_rows_that_only_round_otherwise_pass(family: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """On many CPUs 16-bit rows of a model this small equal a plain forward to the last bit. Computed in float32 they differ
    from it by rounding, as they do for large models."""
    monkeypatch.setattr(parity, "KvRows", lambda module, device: KvRows(deepcopy(module).float(), device))
    assert check(model(family, dtype)) > 0


@pytest.mark.parametrize(("fault", "family"), FAULTS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_wrong_rows_are_found_in_every_dtype(
    fault: type[KvRows], family: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parity, "KvRows", fault)
    with pytest.raises(EnvironmentUnmet, match="with a key-value cache differ by"):
        check(model(family, dtype))


def test_a_model_that_gives_no_numbers_is_refused() -> None:
    module = model("qwen3", torch.bfloat16)
    with torch.no_grad():
        module.lm_head.weight[7] = math.nan
    with pytest.raises(EnvironmentUnmet, match="differ by inf"):
        check(module)


def test_rare_tokens_weigh_little() -> None:
    plain_V = torch.tensor([0.0, -20.0]).log_softmax(-1)
    other_V = plain_V + torch.tensor([0.0, 0.5])
    assert parity._largest(plain_V, other_V) == pytest.approx(0.5)
    assert parity._expected(plain_V, other_V) < 1e-8
    assert parity._expected(plain_V, plain_V + torch.tensor([0.5, 0.0])) == pytest.approx(0.5)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", pytest.param("float16", marks=pytest.mark.slow)])
def test_an_adapter_on_a_base_of_any_dtype_is_sampled_from(dtype: str, tmp_path: Any) -> None:
    loaded = moved(built(save_tiny(tmp_path / "base"), dtype=dtype, rank=4))
    assert loaded.module.get_input_embeddings().weight.dtype == getattr(torch, dtype)
    EmbeddedSampler(SamplerSite(loaded, "cpu", 64))
