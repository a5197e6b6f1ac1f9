"""Faults in the engine, a module a room."""
