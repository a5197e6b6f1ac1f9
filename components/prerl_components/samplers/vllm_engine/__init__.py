"""The sampler `vllm`: an engine in the trainer's process, and weights pushed into it. Built on shared."""
