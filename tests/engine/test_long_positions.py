"""A model whose positions follow the longest text of a forward has each text in a forward of its own."""

from typing import Any

import pytest
import torch
from prerl_components.objectives.presets.group_relative import Grpo
from transformers import AutoModelForCausalLM, Phi3Config

from prerl_spec.engine.policy.policy import Policy
from prerl_spec.registry.kinds.model import LoadedModel
from prerl_spec.testing.tiny import byte_tokenizer
from prerl_spec.text import Codec
from tests.engine.steps import gradient_of, make_trainer, random_step


def phi(rope_type: str) -> Policy:
    """Other frequencies beyond 32 tokens, or the same at every length."""
    sizes: dict[str, Any] = {"vocab_size": 259, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    heads: dict[str, Any] = {"num_attention_heads": 2, "num_key_value_heads": 1, "initializer_range": 0.2}
    ids: dict[str, Any] = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
    rope: dict[str, Any] = {"rope_type": rope_type, "rope_theta": 10000.0, "partial_rotary_factor": 1.0}
    if rope_type == "longrope":
        rope |= {"short_factor": [1.0] * 8, "long_factor": [4.0] * 8, "original_max_position_embeddings": 32}
    config = Phi3Config(**sizes, **heads, **ids, max_position_embeddings=512, rope_parameters=rope)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        untyped: Any = AutoModelForCausalLM
        module = untyped.from_config(config, dtype=torch.float32)
    tokenizer = byte_tokenizer()
    loaded = LoadedModel(module, tokenizer, Codec.of_tokenizer(tokenizer), torch.float32, {})
    return Policy(loaded, torch.device("cpu"))


@pytest.mark.parametrize("rope_type", ["longrope", "default"])
def test_a_gradient_is_that_of_texts_one_by_one(rope_type: str) -> None:
    policy, step = phi(rope_type), random_step(2, 4, longest=60)
    ours = gradient_of(make_trainer(policy, Grpo(), tokens_per_pass=1_000), step)
    assert policy.arrangement == ("alone" if rope_type == "longrope" else "flat")
    policy.arrangement = "alone"
    apart = gradient_of(make_trainer(policy, Grpo(), tokens_per_pass=1_000), step)
    assert float((ours - apart).norm()) < 1e-5 * float(apart.norm())
