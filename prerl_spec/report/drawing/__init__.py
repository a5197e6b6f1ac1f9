"""HTML and SVG from tables: markup, plots, intervals. Built on tables."""
