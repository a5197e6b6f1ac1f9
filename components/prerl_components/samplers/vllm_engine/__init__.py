"""The sampler `vllm`: an engine in the trainer's process, and weight pushes into it. Built on shared."""
