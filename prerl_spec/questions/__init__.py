"""When two questions are the same, or share a passage: their wording, their repeats, their overlaps. Pure functions."""
