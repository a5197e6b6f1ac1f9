"""Shared by samplers: the context limit, weight files and their check, vLLM's sampling parameters. Lowest layer."""
