"""lm-eval tasks: finding, fetching, sampling from the policy, scoring. Built on `scores`."""
