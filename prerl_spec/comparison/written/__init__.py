"""A comparison as text, JSON, Markdown, LaTeX and one HTML page."""
