"""Collects batches: data sets, data cursor, sampling, journal, verifier processes. Independent of training."""
