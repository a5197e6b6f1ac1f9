"""HTML and SVG: markup, charts, interval plots. Built on `tables`."""
