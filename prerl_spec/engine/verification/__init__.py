"""Verifiers at work: isolated worker processes, their deadlines, and the pool that asks them."""
