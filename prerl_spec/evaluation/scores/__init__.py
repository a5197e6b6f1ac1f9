"""A score and its statement: verdicts counted, intervals, the cache, files for people and programs. Lowest floor."""
