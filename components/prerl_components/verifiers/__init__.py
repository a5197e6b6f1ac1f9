"""Verifiers: how responses are judged."""
