"""One Protocol a kind: what the engine may ask of a component, and what a component may ask of the engine.

Only declarations: torch appears in annotations alone. Every component also is a `Component` (settings, ports, rules); its
kind's Protocol is what it does once a run opens it.
"""
