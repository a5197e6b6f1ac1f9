"""Scores a policy. Layers: scores < harness < the held-out evaluator and the targets of `eval`."""
