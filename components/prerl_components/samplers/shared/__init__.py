"""What samplers share: the context limit, weights as files and their check, a draw in vLLM's words. Lowest floor."""
