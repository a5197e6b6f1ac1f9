"""The held-out parts of `arithmetic_chains` as the documents of lm-eval tasks."""

from collections.abc import Mapping
from functools import cache
from typing import Literal

from prerl_components.data.arithmetic_chains import ArithmeticChains


@cache
def task_rows(part: Literal["easy", "hard"]) -> tuple[Mapping[str, str], ...]:
    """All rows of a held-out part, {"question", "answer"}: the documents of the lm-eval task of that name. Drawn once a
    process: every evaluation asks for them."""
    rows = ArithmeticChains(part=part).open(part)
    return tuple(rows.row(i).fields for i in range(len(rows)))
