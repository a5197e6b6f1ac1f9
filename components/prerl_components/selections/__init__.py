"""Which tokens of a response keep their weight."""
