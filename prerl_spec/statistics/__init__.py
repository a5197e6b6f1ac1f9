"""Statistics of scores: confidence intervals, avg@k and pass@k; pure functions of numbers, independent of the rest."""
