"""What trainer and server must agree on: names, and what a server says of itself. Nothing heavy, for both sides."""

from typing import Any, NamedTuple

PROTOCOL = 1
"""Raised when a trainer of one version could misunderstand a server of another."""

EXTENSION = "prerl_components.samplers.server.worker_extension.ServerExtension"
GUARD = "prerl_components.samplers.server.auth_middleware.KeyGuard"
KEY_VARIABLE = "VLLM_API_KEY"
"""Where the server finds its key: never on a command line, which every user of the machine can read."""

LOGPROBS_MODE = "processed_logprobs"
"""Log-probabilities of the distribution that was drawn from; vLLM's default is that before temperature and truncation."""

IDENTITY = (
    "model_type",
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "intermediate_size",
    "tie_word_embeddings",
)
"""Fields of a model's config that tell it from another of its family."""


class ServerState(NamedTuple):
    """What one worker says: `ServerState(1, "3f2a-000012", "float32", "processed_logprobs", 256, {"hidden_size": 96})`.

    `version` is None for weights that no trainer has pushed.
    """

    protocol: int
    version: str | None
    dtype: str
    logprobs_mode: str
    max_length: int
    model: dict[str, Any]


def identity(config: Any) -> dict[str, Any]:
    """Those fields of a transformers config that stand in it."""
    return {name: getattr(config, name) for name in IDENTITY if hasattr(config, name)}
