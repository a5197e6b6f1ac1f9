"""Probes: metrics of a batch of rollouts, measured before the update."""
