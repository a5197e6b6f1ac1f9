"""Estimates of cost and prerequisites: step counts, memory, time, files, packages, servers. Built on rules."""
