"""The models of the scripts in this folder: Qwen3's published dimensions with random weights, and two layers for trials."""

from typing import Any

_COMMON = {"num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151936}

SHAPES: dict[str, dict[str, Any]] = {
    "0.6B": {
        **_COMMON, "hidden_size": 1024, "num_hidden_layers": 28, "num_attention_heads": 16, "intermediate_size": 3072,
    },
    "1.7B": {
        **_COMMON, "hidden_size": 2048, "num_hidden_layers": 28, "num_attention_heads": 16, "intermediate_size": 6144,
    },
    "4B": {
        **_COMMON, "hidden_size": 2560, "num_hidden_layers": 36, "num_attention_heads": 32, "intermediate_size": 9728,
    },
}  # fmt: skip
TINY: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16,
    "intermediate_size": 64, "vocab_size": 320,
}  # fmt: skip
