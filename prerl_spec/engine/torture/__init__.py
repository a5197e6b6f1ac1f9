"""Runs a spec while it is killed, crashed and damaged on purpose, and compares what comes out. Built on inspect."""
