"""Arms against a baseline: paired differences with intervals, claims that hold, tables and a page. Scores nothing anew."""
