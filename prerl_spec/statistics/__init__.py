"""Estimates from scores, with what they are worth: intervals, pass@k. Numbers in, numbers out; imports nothing of ours."""
