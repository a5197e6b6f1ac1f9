"""Patterns that texts of a spec must match, and the same in words, for messages."""

import re

RUN_NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"
PHASE_ID = r"^[a-z][a-z0-9_]*$"
TASK_AND_METRIC = r"^.+/[^/]+$"

_SEPARATORS = {RUN_NAME: "-", PHASE_ID: "_"}

IN_WORDS = {
    RUN_NAME: "at most 64 of a-z, 0-9, `.`, `_`, `-`, a letter or digit first",
    PHASE_ID: "of a-z, 0-9 and `_`, a letter first",
    TASK_AND_METRIC: 'a task and a metric with a slash between, as "gsm8k/avg@4"',
}
"""What follows "must be"; a pattern that is not here is shown itself."""


def made_to_match(pattern: str, text: str) -> str | None:
    """The name of this pattern that a text was probably meant as: "my-run" for "MyRun"; None if there is none."""
    between = _SEPARATORS.get(pattern)
    if between is None:
        return None
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", between, text.strip()).lower()
    allowed = "a-z0-9._-" if pattern == RUN_NAME else "a-z0-9_"
    name = re.sub(rf"[^{allowed}]+", between, apart).strip("._-")
    name = name.lstrip("0123456789_") if pattern == PHASE_ID else name[:64]
    return name if re.fullmatch(pattern, name) else None
