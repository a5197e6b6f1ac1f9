"""A run folder for readers: formatting < tables < drawing < page < terminal."""
