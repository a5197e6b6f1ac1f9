"""The sampler `vllm_server`: client, protocol, weight transfer, and what runs inside the server. Highest floor."""
