"""Optimizers and their learning-rate schedules."""
