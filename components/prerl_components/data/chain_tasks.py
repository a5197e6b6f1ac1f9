"""The held-out parts of `arithmetic_chains` as the documents of lm-eval tasks."""

from typing import Literal

from prerl_components.data.arithmetic_chains import ArithmeticChains


def task_rows(part: Literal["easy", "hard"]) -> list[dict[str, str]]:
    """All rows of a held-out part, {"question", "answer"}: the documents of the lm-eval task of that name."""
    rows = ArithmeticChains(part=part).open(part)
    return [dict(rows.row(i).fields) for i in range(len(rows))]
