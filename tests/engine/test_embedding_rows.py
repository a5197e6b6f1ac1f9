"""The gradient is that of log P for every token, also for the one that the model's configuration calls padding."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from prerl_components.models.from_scratch import FromScratch
from prerl_components.models.hf_causal import HfCausal
from transformers import AutoModelForCausalLM

from prerl_spec.registry.kinds.model import LoadedModel, ModelSite, padded_embeddings
from prerl_spec.testing.tiny import SHAPES, byte_tokenizer, save_tiny, tiny_config, tiny_loaded

VOCABULARY = 259
SPECIAL = range(256, 259)
SITE = ModelSite(seed=0, device="cpu", tokenizer_folder=lambda name: Path(name))
STEP = {"gpt2": 1e-5, "opt": 1e-6, "qwen3": 1e-2, "llama": 1e-2}
"""Of a central difference: in float64 its error is of the order h² + 1e-16 / h, more where a ReLU
of OPT bends. The RMS norms of Qwen and Llama compute in float32 whatever the weights are, so that rounding is 1e-7 / h."""
GAP = {"gpt2": 1e-6, "opt": 1e-6, "qwen3": 1e-3, "llama": 1e-3}
"""Measured: 1e-9, 6e-8, 2e-5, 2e-5; without the gradient through the input 0.13, 0.02, 0.32, 0.34."""


def padded(shape: Any, pad: int, folder: Path) -> LoadedModel:
    """A saved model whose pad token is `pad`, loaded as a run loads it, in float64."""
    save_tiny(folder, shape)
    config = tiny_config(shape)
    config.pad_token_id = pad
    config.save_pretrained(folder)
    loaded = HfCausal(name=str(folder)).build(SITE)
    loaded.module.double()
    return loaded


def worst_gap(loaded: LoadedModel, tokens: Iterable[int], step: float) -> float:
    """The largest relative gap, over the rows of these tokens, between autograd and a central difference of log P(y|x)."""
    module: Any = loaded.module
    generator = torch.Generator().manual_seed(1)
    text = torch.randperm(VOCABULARY, generator=generator)
    ids = torch.cat([text, text[:40]])[None]  # every token, in the context of some other and of itself

    def logp() -> torch.Tensor:
        logits = module(input_ids=ids, use_cache=False).logits[0, :-1]
        return torch.as_tensor(logits.log_softmax(-1).gather(-1, ids[0, 1:, None]).sum())

    weight = module.get_input_embeddings().weight
    (gradient,) = torch.autograd.grad(logp(), [weight])
    gaps = []
    for token in tokens:
        along = torch.randn(weight.shape[1], dtype=torch.double, generator=generator)
        along /= along.norm()
        with torch.no_grad():
            row = weight[token].clone()
            weight[token] = row + step * along
            above = logp()
            weight[token] = row - step * along
            below = logp()
            weight[token] = row
        difference = (above - below) / (2 * step)
        gaps.append(((gradient[token] @ along - difference).abs() / gradient[token].norm()).item())
    return max(gaps)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_special_token_gets_its_gradient_whichever_is_padding(shape: Any, tmp_path: Path) -> None:
    loaded = padded(shape, 258, tmp_path)
    assert loaded.codec.eos_id == 258
    assert worst_gap(loaded, SPECIAL, STEP[shape]) < GAP[shape]


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("pad", [0, *SPECIAL])
def test_every_token_gets_its_gradient_whichever_is_padding(shape: Any, pad: int, tmp_path: Path) -> None:
    assert worst_gap(padded(shape, pad, tmp_path), range(VOCABULARY), STEP[shape]) < GAP[shape]


def test_the_difference_sees_a_row_without_gradient(tmp_path: Path) -> None:
    loaded = padded("gpt2", 258, tmp_path)
    loaded.module.get_input_embeddings().padding_idx = 258  # type: ignore[operator]
    assert worst_gap(loaded, [258], STEP["gpt2"]) > 1e-2


class CountsFromPadding(torch.nn.Embedding):
    """Like ProphetNet's positions: the first is the one after padding."""

    def forward(self, position: torch.Tensor) -> torch.Tensor:
        assert self.padding_idx is not None
        return super().forward(position + self.padding_idx + 1)


def test_every_embedding_of_tokens_is_mended_and_none_that_reads_its_padding() -> None:
    loaded = tiny_loaded("opt")
    module: Any = loaded.module
    module.per_layer = torch.nn.Embedding(4, 2, padding_idx=1)
    module.positions = CountsFromPadding(9, 2, padding_idx=1)
    assert list(padded_embeddings(module)) == [module.per_layer]
    LoadedModel(module, loaded.tokenizer, loaded.codec, loaded.compute_dtype, loaded.source)
    assert (module.per_layer.padding_idx, module.positions.padding_idx) == (None, 1)


@pytest.mark.parametrize("tied", [True, False])
def test_a_random_model_draws_the_row_of_padding_and_moves_no_other_weight(tied: bool, tmp_path: Path) -> None:
    byte_tokenizer().save_pretrained(tmp_path)
    config = {
        "model_type": "qwen3",
        "hidden_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "head_dim": 32,
        "num_key_value_heads": 1,
        "intermediate_size": 32,
        "tie_word_embeddings": tied,
        "initializer_range": 0.5,
    }
    built: Any = FromScratch(config=config, tokenizer=str(tmp_path)).build(SITE).module
    assert built.config.pad_token_id == 256
    with torch.random.fork_rng():
        torch.manual_seed(SITE.seed)
        plain: Any = AutoModelForCausalLM.from_config(built.config, dtype=torch.float32)
    rows, before = built.get_input_embeddings().weight, plain.get_input_embeddings().weight
    assert not before[256].any()
    assert 0.35 < rows[256].std().item() < 0.65  # 0.5, from 64 numbers: within 3 standard errors of 0.044
    with torch.no_grad():
        before[256] = rows[256]
    for (name, now), was in zip(built.state_dict().items(), plain.state_dict().values(), strict=True):
        assert torch.equal(now, was), name
    again: Any = FromScratch(config=config, tokenizer=str(tmp_path)).build(SITE).module
    assert torch.equal(again.get_input_embeddings().weight, rows)
