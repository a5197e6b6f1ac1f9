"""Runs what is left of a study: the queue, the process of each run, runs that are taken over."""
