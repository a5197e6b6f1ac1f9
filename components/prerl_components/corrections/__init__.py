"""Stop-gradient weights against the gap between trainer and sampler."""
