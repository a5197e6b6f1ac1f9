"""Filters: which groups stay in a batch."""
