"""Where batches come from: data sets, cursor, sampling, journal, verifier processes. Beside training."""
