"""The entry points that a library imports although nothing names them, and for which it has no switch (see autoload.py)."""

from importlib import metadata

_LOADED_UNASKED = {
    "networkx.backends": "networkx",
    "networkx.backend_info": "networkx",
    "numba_extensions": "numba",
    "opentelemetry_context": "opentelemetry",
    "opentelemetry_propagator": "opentelemetry",
    "opentelemetry_environment_variables": "opentelemetry",
    "triton.backends": "triton",
    "vllm.logits_processors": "vllm",
}
"""Group of entry points that a library imports by itself -> the package whose own entries stay."""

_FILE_SYSTEMS = "fsspec.specs"
_SHADOWED = frozenset({"file", "local", "memory", "hf", "http", "https"})
"""Protocols of fsspec and of the hub's library; another implementation under their name would read local files."""


def is_loaded_unasked(entry: metadata.EntryPoint) -> bool:
    """Whether a library would import this entry point of a stranger's although nothing names it."""
    package = entry.value.partition(":")[0].strip().partition(".")[0]
    if entry.group == _FILE_SYSTEMS:
        return entry.name in _SHADOWED and package not in ("fsspec", "huggingface_hub")
    return entry.group in _LOADED_UNASKED and package != _LOADED_UNASKED[entry.group]
