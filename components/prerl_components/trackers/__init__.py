"""Trackers: where metrics are logged besides the run folder."""
