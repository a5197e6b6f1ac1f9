"""Objectives: a policy gradient from parts and its named points, token losses, and sums of them."""
