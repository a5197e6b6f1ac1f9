"""Terminal output in ASCII: progress, summary, profile, tables. Highest layer."""
