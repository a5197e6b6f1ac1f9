"""Reward terms added to a verifier's score: for the format of an answer, and against length."""
