"""Scores with their conditions: counted verdicts, the cache, tables and JSON files. Lowest layer."""
