"""A run for a terminal, in ASCII: progress, summary, profile, tables. Highest floor."""
