"""Patterns that texts of a spec must match, and the same in words, for messages."""

RUN_NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"
PHASE_ID = r"^[a-z][a-z0-9_]*$"
TASK_AND_METRIC = r"^.+/[^/]+$"

IN_WORDS = {
    RUN_NAME: "at most 64 of a-z, 0-9, `.`, `_`, `-`, a letter or digit first",
    PHASE_ID: "of a-z, 0-9 and `_`, a letter first",
    TASK_AND_METRIC: 'a task and a metric with a slash between, as "gsm8k/avg@4"',
}
"""What follows "must be"; a pattern that is not here is shown itself."""
