"""Shared by commands: options, diagnostics as text, locks, the process launcher and its environment. Lowest layer."""
