"""The trained model: packing, forward, log-probabilities, sharding, weights, reference. Built on processes."""
