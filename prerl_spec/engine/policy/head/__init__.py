"""The output head: read by blocks of the vocabulary, and whether a model's logits are what it returns."""
