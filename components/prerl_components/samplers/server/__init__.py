"""The sampler `vllm_server`: client, protocol, weight transfer, and the server-side extension. Highest layer."""
