"""Trains on one batch: credit, forward and backward passes, optimizer updates, metrics. Built on policy and record."""
