"""Reward terms added to a verifier's score; none is built in."""
