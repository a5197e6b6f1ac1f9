"""A run folder as typed tables: steps, phases, scores, attempts. Built on `formatting`."""
