"""Scores a policy: scores < harness; the evaluator of held-out rows and the targets of `eval` stand above."""
