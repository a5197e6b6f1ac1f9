"""Reports on a run, as HTML and for a terminal. Layers: formatting < tables < drawing < page < terminal."""
