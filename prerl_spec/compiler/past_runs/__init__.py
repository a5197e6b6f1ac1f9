"""Reads earlier runs for the planner: run folders, calibrations and measured times. Independent of estimates."""
