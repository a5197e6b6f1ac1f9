"""Bounds of the gate by kind of construct."""
