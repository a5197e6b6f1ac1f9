"""Pure functions over flat vectors: advantages, weights and denominators, surrogates, divergences. Lowest layer."""
