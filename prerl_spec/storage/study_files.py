"""Where the parts of a study lie in its folder."""

STUDY = "study.json"
SHARED = "shared"
"""Folder of the runs that several cells continue, and the arm of their names: no arm may have it."""
DEPTH_IN_STUDY = 3
"""A run of a study lies at `cells/ARM/seed-S`."""
