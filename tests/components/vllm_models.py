"""Small real models that vLLM's CPU kernels take (heads of 32), and policies that go wrong on purpose."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from prerl_components.samplers.shared.frozen_access import FrozenAccess
from torch import Tensor
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen3Config

from prerl_spec.sdk import LoadedModel
from prerl_spec.testing.tiny import tiny_loaded

COMMON: dict[str, Any] = {
    "vocab_size": 259,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 32,
    "intermediate_size": 64,
    "max_position_embeddings": 512,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}


def vllm_model(*, tied: bool = True, family: str = "qwen3", **changes: Any) -> LoadedModel:
    """Two layers of width 64 with the tokenizer of bytes, in evaluation mode; weights wide enough to tell contexts apart."""
    kind = {"qwen3": Qwen3Config, "llama": LlamaConfig}[family]
    config = kind(**{**COMMON, **changes}, tie_word_embeddings=tied)
    config.initializer_range = 0.2
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        untyped: Any = AutoModelForCausalLM
        module = untyped.from_config(config, dtype=torch.float32)
    return replace(tiny_loaded(), module=module.eval())


class Noisy(FrozenAccess):
    """A policy that hands over one layer with noise: what a sampler holds where a push went wrong."""

    def __init__(self, loaded: LoadedModel) -> None:
        super().__init__(loaded)
        self.layer = ""
        self.share = 0.0

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        generator = torch.Generator().manual_seed(0)
        for name, tensor in super().tensors():
            if self.layer and self.layer in name:
                noise = torch.randn(tensor.shape, generator=generator)
                yield name, tensor + self.share * tensor.std() * noise
            else:
                yield name, tensor


def nudge(loaded: LoadedModel, factor: float = 0.95) -> None:
    """What an update does: every weight is another."""
    with torch.no_grad():
        for weight in loaded.module.parameters():
            weight.mul_(factor)
