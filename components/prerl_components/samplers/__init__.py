"""Samplers: one declaration per file; implementations in the subpackages, shared < embedded, vllm_engine < server."""
