"""Renders a plan or a spec: text, graphs, resolved TOML, JSON Schema. Built on planning."""
