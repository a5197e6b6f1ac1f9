"""A head is read in blocks only where the model's logits are its output as it is."""

from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, Gemma2Config

from prerl_spec.engine.policy.continuation_logps import continuation_logps
from prerl_spec.engine.policy.policy import Policy
from prerl_spec.registry.kinds.model import LoadedModel
from prerl_spec.testing.tiny import byte_tokenizer
from prerl_spec.text import Codec
from tests.engine.steps import tiny_policy


def gemma(cap: float | None) -> Policy:
    """With the small weights that transformers draws: the cap moves no log-probability by 1e-4."""
    sizes: dict[str, Any] = {"vocab_size": 259, "hidden_size": 32, "intermediate_size": 64, "head_dim": 16}
    layers: dict[str, Any] = {"num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1}
    ids: dict[str, Any] = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        untyped: Any = AutoModelForCausalLM
        module = untyped.from_config(Gemma2Config(**sizes, **layers, **ids, final_logit_softcapping=cap))
    tokenizer = byte_tokenizer()
    return Policy(LoadedModel(module, tokenizer, Codec.of_tokenizer(tokenizer), torch.float32, {}), torch.device("cpu"))


def test_a_soft_cap_is_seen_where_logits_are_too_small_to_show_it() -> None:
    assert not gemma(30.0).plain_head
    assert gemma(None).plain_head


@pytest.mark.parametrize("arrangement", ["alone", "padded"])
def test_a_model_that_needs_forwards_of_its_own_scores_continuations_in_them(
    arrangement: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy, rows = tiny_policy(), list[int]()
    policy.arrangement = arrangement
    forward = policy.scoring.forward
    monkeypatch.setattr(
        policy.scoring, "forward", lambda ids, *a, **named: (rows.append(len(ids)), forward(ids, *a, **named))[1]
    )
    continuation_logps(policy, [((1, 2), (3, 4)), ((5,), (6,))])
    assert rows == ([1, 1] if arrangement == "alone" else [2])
