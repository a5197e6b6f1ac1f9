"""Ratios of probabilities from log-probabilities, of tokens and of whole responses, in torch."""
