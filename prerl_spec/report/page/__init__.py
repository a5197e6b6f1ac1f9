"""report.html by section: overview, curves, scores, sample responses. Built on `drawing`."""
