"""Sampling lm-eval tasks from the policy, and scoring them. Built on `scores` and `tasks`."""
