"""Faults in built-in components, a module a kind or family."""
