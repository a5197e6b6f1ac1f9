"""Two meanings held against each other: differences, locks and drift, extensions of a run. Highest floor."""
