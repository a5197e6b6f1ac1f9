"""A run from start to end: session, position, phases, evaluations, manifest. Built on training and batches."""
