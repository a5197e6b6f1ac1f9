"""Faults in everything below the engine."""
