"""report.html, section by section: overview, curves, scores, responses to read. Built on drawing."""
