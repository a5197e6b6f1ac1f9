"""Losses without an advantage: documents, and the terms of `weighted_sum`. Built on arithmetic."""
