"""The embedded sampler: batches, a key-value cache, the decoding loop. Built on shared."""
