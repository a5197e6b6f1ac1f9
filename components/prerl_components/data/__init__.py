"""Data sets: questions with gold answers, and documents."""
