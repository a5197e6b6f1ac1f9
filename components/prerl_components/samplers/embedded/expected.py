"""Which way of decoding a model's configuration lets expect; what counts is measured when the sampler opens.

Without torch: a plan says it.
"""

from collections.abc import Mapping
from typing import Any

OWN_STEP = "each token by a step of its own"
OWN_FORWARD = "each token by the model's own forward"

BEYOND_A_CHECK = ("softcap", "clip", "clamp")
"""Parts of names of settings that act on large numbers only, which a check on a few tokens does not meet."""

PLAIN = frozenset({"gpt2", "llama", "mistral", "qwen2", "qwen3"})
"""Types of models whose parts are those of a plain decoder: see read_decoder.py."""
MISTRAL_WINDOW = 4096
QWEN_FULL_LAYERS = 28
"""Mistral's window and Qwen's first layers without one, where a configuration says nothing of them."""


def expected_decoding(config: Mapping[str, Any], *, has_adapter: bool) -> str:
    """A clause for the plan. `config` is the model's configuration, as transformers writes it."""
    if has_adapter:
        return f"{OWN_FORWARD}: an adapter computes more than a product"
    kind = str(config.get("model_type"))
    if kind not in PLAIN:
        return f"found when it opens: a step of its own if the parts of `{kind}` are those of a plain decoder"
    if _has_window(kind, config):
        return f"{OWN_FORWARD}: its attention has a sliding window"
    for name, value in config.items():
        if value and any(word in name for word in BEYOND_A_CHECK):
            return f"{OWN_FORWARD}: `{name}` acts on large numbers"
    return f"{OWN_STEP}, if the check at its opening agrees (`{kind}` is a plain decoder)"


def _has_window(kind: str, config: Mapping[str, Any]) -> bool:
    """Of a plain decoder's type."""
    if layers := config.get("layer_types"):
        return "sliding_attention" in layers
    if kind == "mistral":
        return config.get("sliding_window", MISTRAL_WINDOW) is not None
    full_layers = config.get("max_window_layers", QWEN_FULL_LAYERS)
    return bool(config.get("use_sliding_window")) and bool(full_layers < config.get("num_hidden_layers", 0))
