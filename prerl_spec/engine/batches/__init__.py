"""Collects batches: data sets, data cursor, sampling, journal. Independent of training."""
