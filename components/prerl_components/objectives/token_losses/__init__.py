"""Losses without an advantage: language modelling, and terms of `weighted_sum`. Built on arithmetic."""
