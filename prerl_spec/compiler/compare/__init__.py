"""Compares two meanings: differences, locks and drift, extensions of a run. Built on compile."""
