"""The protocol between trainer and server: names, the state a server reports, arrays as text. Imports nothing heavy."""

import base64
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

PROTOCOL = 2
"""Incremented when a trainer and a server of different versions would be incompatible."""

EXTENSION = "prerl_components.samplers.server.worker_extension.ServerExtension"
GUARD = "prerl_components.samplers.server.auth_middleware.KeyGuard"
KEY_VARIABLE = "VLLM_API_KEY"
"""Environment variable of the server's key: never a command-line argument, which every user of the machine can read."""

LOGPROBS_MODE = "processed_logprobs"
"""Log-probabilities of the decoding distribution; vLLM's default is before temperature and truncation."""

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
"""Config fields that distinguish a model from others of its family."""


class ServerState(NamedTuple):
    """A worker's state: `ServerState(1, "3f2a-000012", "float32", "processed_logprobs", 256, {"hidden_size": 96})`.

    `version` is None until a trainer has pushed weights.
    """

    protocol: int
    version: str | None
    dtype: str
    logprobs_mode: str
    max_length: int
    model: dict[str, Any]


def identity(config: Any) -> dict[str, Any]:
    """The IDENTITY fields that are present in a transformers config."""
    return {name: getattr(config, name) for name in IDENTITY if hasattr(config, name)}


def packed(numbers: NDArray[np.int64]) -> str:
    """An array of 64-bit integers as text."""
    return base64.b64encode(numbers.astype("<i8").tobytes()).decode("ascii")


def unpacked(text: str) -> NDArray[np.int64]:
    """What `packed` wrote. Raises ValueError for anything else."""
    return np.frombuffer(base64.b64decode(text, validate=True), "<i8").astype(np.int64)
