"""Arms × seeds of [study] as cells: what they share, in which order they run, what has become of each; without torch."""
