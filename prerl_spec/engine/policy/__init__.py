"""The trained model: packing, forward, log-probabilities, shards, weights, reference. Built on processes."""
