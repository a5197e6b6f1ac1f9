"""The number that is added to a standard deviation before a division by it."""

STD_EPS = 1e-6
"""As in the code of GRPO's authors and in verl; TRL adds 1e-4."""
