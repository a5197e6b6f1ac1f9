"""The sampler's own decoding step: which models it serves is measured, and it computes what they do."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from prerl_components.samplers.embedded import parity
from prerl_components.samplers.embedded.kv_rows import KvRows
from prerl_components.samplers.embedded.own_step import step_numbers
from prerl_components.samplers.embedded.sampler import EmbeddedSampler
from prerl_components.samplers.embedded.stepped_rows import SteppedRows
from prerl_components.samplers.transformers import Transformers
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GemmaConfig,
    GemmaForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    Ministral3Config,
    Ministral3ForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    OlmoConfig,
    OlmoForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from prerl_spec.sdk import Decoding, LoadedModel, Request, SamplerSite
from prerl_spec.testing.tiny import save_tiny, tiny_loaded
from tests.components.test_adapters_lora import built, moved
from tests.components.test_samplers_parity import COMMON, CPU, GPT2, HEADS, NO_IDS

LLAMA3: dict[str, Any] = {
    "rope_type": "llama3", "rope_theta": 1e4, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}  # fmt: skip
NTK: dict[str, Any] = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 4.0}
ALTERNATING: dict[str, Any] = {"sliding_window": 8, "layer_types": ["sliding_attention", "full_attention"]}


def llama(**settings: Any) -> Any:
    return LlamaForCausalLM(LlamaConfig(**{**COMMON, **HEADS, **settings}))


SERVED: dict[str, Any] = {
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**COMMON, **HEADS, head_dim=8)),
    "qwen3, tied, wide heads": lambda: Qwen3ForCausalLM(
        Qwen3Config(**COMMON, **HEADS, head_dim=24, tie_word_embeddings=True)
    ),
    "qwen3, biases": lambda: Qwen3ForCausalLM(Qwen3Config(**COMMON, **HEADS, head_dim=8, attention_bias=True)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**COMMON, **HEADS)),
    "llama": llama,
    "llama, one key head": lambda: llama(num_key_value_heads=1),
    "llama, all biases": lambda: llama(attention_bias=True, mlp_bias=True),
    "llama 3": lambda: llama(rope_parameters=LLAMA3),
    "llama, dynamic rotation, short": lambda: llama(rope_parameters=NTK, max_position_embeddings=64),
    "mistral": lambda: MistralForCausalLM(MistralConfig(**COMMON, **HEADS, sliding_window=None)),
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(**GPT2, **NO_IDS)),
    "gpt2, scaled by layer": lambda: GPT2LMHeadModel(
        GPT2Config(**GPT2, **NO_IDS, scale_attn_by_inverse_layer_idx=True)
    ),
}
NOT_SERVED: dict[str, Any] = {
    "windows": lambda: MistralForCausalLM(MistralConfig(**COMMON, **HEADS, sliding_window=8)),
    "windows no text of the check leaves": lambda: MistralForCausalLM(
        MistralConfig(**COMMON, **HEADS, sliding_window=128)
    ),
    "some windows": lambda: Qwen3ForCausalLM(
        Qwen3Config(**COMMON, **HEADS, head_dim=8, use_sliding_window=True, max_window_layers=0, **ALTERNATING)
    ),
    "other norms and scales": lambda: GemmaForCausalLM(GemmaConfig(**COMMON, **HEADS, head_dim=8)),
    "more norms": lambda: Gemma3ForCausalLM(Gemma3TextConfig(**COMMON, **HEADS, head_dim=8, **ALTERNATING)),
    "other parts": lambda: GPTNeoXForCausalLM(
        GPTNeoXConfig(**COMMON, **NO_IDS, num_attention_heads=4, intermediate_size=64)
    ),
    "large numbers clipped": lambda: OlmoForCausalLM(OlmoConfig(**COMMON, **HEADS, clip_qkv=1e3, pad_token_id=None)),
    "a rotation that depends on the longest row": lambda: llama(rope_parameters=NTK, max_position_embeddings=32),
}


def model(make: Any, seed: int = 0) -> Any:
    """With norms and biases that are not their first values of one and zero."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = make().eval()
        with torch.no_grad():
            for parameter in module.parameters():
                if parameter.ndim == 1:
                    parameter.add_(torch.randn_like(parameter) * 0.3)
    return module


def served(module: Any, dtype: torch.dtype | None = None, *, max_length: int = 64, in_float32: bool = True) -> bool:
    with torch.inference_mode():
        numbers = step_numbers(module, CPU, dtype, vocabulary=259, max_length=max_length, in_float32=in_float32)
    return isinstance(numbers, int)


def loaded_as(module: Any, dtype: torch.dtype = torch.float32) -> LoadedModel:
    return replace(tiny_loaded(), module=module, compute_dtype=dtype)


def opened(module: Any, dtype: torch.dtype = torch.float32, *, invariant: bool = False) -> EmbeddedSampler:
    return EmbeddedSampler(SamplerSite(loaded_as(module, dtype), "cpu", 64, invariant=invariant))


# --- which models --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", SERVED)
def test_a_plain_decoder_is_decoded_by_the_step_up_to_rounding(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parity, "TOLERANCE", 2e-5)
    module = model(SERVED[family])
    assert served(module)
    # Weights too large to be joined are multiplied one by one.
    monkeypatch.setattr("prerl_components.samplers.embedded.read_decoder.MAX_JOINED_BYTES", 0)
    assert served(module)


@pytest.mark.parametrize("family", NOT_SERVED)
def test_any_other_model_keeps_its_own_forward(family: str) -> None:
    assert not served(model(NOT_SERVED[family]))


@pytest.mark.parametrize("family", [*SERVED, *NOT_SERVED])
def test_what_the_configuration_lets_expect_is_what_is_found(family: str) -> None:
    """Or that it will be found: of a type that may be plain, or not."""
    module = model((SERVED | NOT_SERVED)[family])
    expected = Transformers().expects(module.config.to_dict(), has_adapter=False)
    opened_as = "step" if served(module) else "forward"
    if not expected.startswith("found when it opens"):
        of_its_own = expected.startswith("each token by a step of its own")
        # The check at its opening is part of the sentence: it may say no where a rotation depends on the longest row.
        assert (opened_as == "step") <= of_its_own
        assert (opened_as == "forward") <= (not of_its_own or "rotation" in family)
    else:
        assert module.config.model_type not in ("qwen2", "qwen3", "llama", "mistral", "gpt2")


def test_a_rotation_that_is_called_in_another_way_keeps_the_models_own_forward() -> None:
    module = model(llama)
    own = module.model.rotary_emb.forward
    module.model.rotary_emb.forward = lambda x, position_ids, *, layer_type: own(x, position_ids)
    assert not served(module)


def test_a_rotation_that_only_rows_beyond_the_checks_texts_would_change_keeps_the_models_own_forward() -> None:
    module = model(lambda: llama(rope_parameters=NTK, max_position_embeddings=256))
    assert served(module, max_length=256)
    assert not served(module, max_length=257)


SCALED: dict[str, Any] = {
    "rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 200,
    "llama_4_scaling_beta": 0.1,
}  # fmt: skip


def test_queries_scaled_by_a_position_that_the_checks_texts_do_not_reach_keep_the_models_own_forward() -> None:
    """Ministral 3: by 1 below its first length, by 1 + 0.1 log 2 at 200."""
    module = model(
        lambda: Ministral3ForCausalLM(
            Ministral3Config(**COMMON, **HEADS, head_dim=8, max_position_embeddings=400, rope_parameters=SCALED)
        )
    )
    assert served(module, max_length=200)
    assert not served(module, max_length=400)


@pytest.mark.parametrize("family", ["qwen3", "llama 3", "gpt2"])
@pytest.mark.parametrize("max_length", [127, 129, 300])
def test_the_last_positions_of_a_plain_decoder_are_found_equal(family: str, max_length: int) -> None:
    assert served(model(SERVED[family]), max_length=max_length)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_weights_of_16_bits_are_served_within_their_noise(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parity, "TIMES_NOISE", 1.0)
    for family in ("qwen3", "qwen2", "gpt2"):
        assert served(model(SERVED[family]).to(dtype), dtype, in_float32=False)


def test_an_adapter_keeps_the_models_own_forward(tmp_path: Path) -> None:
    loaded = moved(built(save_tiny(tmp_path / "base"), rank=4))
    adapted, plain = (EmbeddedSampler(SamplerSite(one, "cpu", 64)) for one in (loaded, tiny_loaded()))
    assert not adapted._decoding.has_own_step
    assert adapted.computes == "each token by the model's own forward: its parts are not those of a plain decoder"
    assert (
        Transformers()
        .expects({"model_type": "qwen3"}, has_adapter=True)
        .startswith("each token by the model's own forward")
    )
    assert plain._decoding.has_own_step
    assert plain.computes == "each token by a step of its own"


class Hotter(Qwen3ForCausalLM):
    """Plain in its parts, not in its forward."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        output = super().forward(*args, **kwargs)
        output.logits = output.logits * 1.01
        return output


def test_a_forward_that_does_more_than_its_parts_is_found() -> None:
    assert not served(model(lambda: Hotter(Qwen3Config(**COMMON, **HEADS, head_dim=8))))


class Biased(Qwen3ForCausalLM):
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        output = super().forward(*args, **kwargs)
        output.logits = output.logits + torch.linspace(0, 3e-4, output.logits.shape[-1])
        return output


def test_a_forward_that_adds_less_to_log_probabilities_than_a_key_value_cache_may_is_found() -> None:
    small = {**COMMON, "initializer_range": 0.02}
    assert served(model(lambda: Qwen3ForCausalLM(Qwen3Config(**small, **HEADS, head_dim=8))))
    assert not served(model(lambda: Biased(Qwen3Config(**small, **HEADS, head_dim=8))))


# --- wrong steps are found -----------------------------------------------------------------------------------------------


class SeesPadding(SteppedRows):
    def select(self, rows: Tensor) -> None:
        super().select(rows)
        self._mask_R11T = None


class WrongPositions(SteppedRows):
    def advance(self, token_R: Tensor) -> Tensor:
        logits_RV = super().advance(token_R)
        self._position_R = self._position_R + 1
        return logits_RV


class StaleRow(SteppedRows):
    def select(self, rows: Tensor) -> None:
        super().select(torch.tensor([0, 2]) if len(rows) == 2 else rows)


@pytest.mark.parametrize("fault", [SeesPadding, WrongPositions, StaleRow])
@pytest.mark.parametrize("family", ["qwen3", "gpt2"])
def test_wrong_rows_of_the_step_are_found(
    fault: type[SteppedRows], family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = model(SERVED[family])
    monkeypatch.setattr(parity, "SteppedRows", fault)
    assert not served(module)


# --- sampling ------------------------------------------------------------------------------------------------------------

ASKED = [Request((5, 6, 7, 8), (1, 2, 3)), Request((9, 10), (4, 5)), Request((11,) * 9, (6,))]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("invariant", [False, True])
def test_samples_are_those_of_the_models_own_forward(dtype: torch.dtype, invariant: bool) -> None:
    sampler, decoding = opened(model(SERVED["qwen3"]), dtype, invariant=invariant), Decoding(max_new_tokens=24)
    assert sampler._decoding.has_own_step
    own = [g for gs in sampler.generate(ASKED, decoding) for g in gs]
    sampler._decoding.has_own_step = False
    others = [g for gs in sampler.generate(ASKED, decoding) for g in gs]
    for a, b in zip(own, others, strict=True):
        # In 16 bits a rounding may tip a token now and then, and all after it are other samples.
        same = next((t for t, (x, y) in enumerate(zip(a.tokens, b.tokens, strict=False)) if x != y), len(a.tokens))
        assert same == len(a.tokens) or dtype != torch.float32
        gaps = [abs(x - y) for x, y in zip(a.logps[:same], b.logps[:same], strict=True)]
        assert max(gaps, default=0) < (1e-5 if dtype == torch.float32 else 0.1)


class Casts(TorchDispatchMode):
    """Counts casts of the weights: of float32 tensors that are as large as one of them."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.sizes = {p.numel() for p in module.parameters() if p.ndim == 2}
        self.count: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        given = args[0] if args else None
        if isinstance(given, Tensor) and isinstance(found, Tensor) and given.numel() == found.numel():
            self.count["weights"] += given.dtype != found.dtype and given.numel() in self.sizes
        return found


@pytest.mark.parametrize("own_step", [True, False])
def test_in_16_bits_no_weight_is_cast_at_a_token_step(own_step: bool) -> None:
    """As many casts for 4 new tokens as for 24: the autocast of a forward casts each weight, at every token unless kept."""
    module = model(lambda: Qwen3ForCausalLM(Qwen3Config(**COMMON, **HEADS, head_dim=8, tie_word_embeddings=True)))
    sampler = opened(module, torch.bfloat16)
    sampler._decoding.has_own_step = own_step
    sampler._codec.eos_ids = ()
    counts = []
    for num_new in (4, 24):
        with Casts(module) as casts:
            sampler.generate(ASKED, Decoding(max_new_tokens=num_new))
        counts.append(casts.count["weights"])
    assert counts[0] == counts[1] > 0


def test_keys_and_values_are_kept_in_the_dtype_of_computation_and_counted_in_it() -> None:
    module = model(SERVED["qwen3"])
    whole, half = opened(module), opened(module, torch.bfloat16)
    assert half._budget.cache_tokens == 2 * whole._budget.cache_tokens
    for own_step in (True, False):
        half._decoding.has_own_step = own_step
        with half._decoding.sampling(16) as new_rows:
            rows = new_rows()
            rows.prefill([[1, 2, 3], [4]], 4)
            rows.select(torch.tensor([0, 1, 1]))
            rows.advance(torch.tensor([1, 2, 3]))
            layers: Any = rows._cache.layers
            assert {b.dtype for layer in layers for b in (layer._key_buffer, layer._value_buffer)} == {torch.bfloat16}
            assert isinstance(rows, SteppedRows) is own_step
            assert type(rows) is (SteppedRows if own_step else KvRows)
