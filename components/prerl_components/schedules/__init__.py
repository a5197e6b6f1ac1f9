"""Schedules: when a phase ends and what the next one inherits."""
