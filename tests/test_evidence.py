"""docs/evidence.md: the pre-registered rule in its corners, and the page against the kept studies."""

import sys
from pathlib import Path

import pytest

from prerl_spec.statistics.intervals import Interval

sys.path.insert(0, str(Path(__file__).parent.parent / "docs"))
import write_evidence


@pytest.mark.parametrize(
    ("points", "p", "signs", "said"),
    [
        ((1.0, 0.2, 1.8), 0.01, [1, 1, 1], "helps; no relevant difference"),
        ((3.0, 1.0, 5.0), 0.01, [1, 1, 1], "helps"),
        ((3.0, 2.1, 3.9), 0.01, [1, 1, 1], "helps by more than the margin"),
        ((-3.0, -3.9, -2.1), 0.01, [-1, -1, -1], "hurts by more than the margin"),
        ((-3.0, -3.9, -1.9), 0.01, [-1, -1, -1], "hurts"),
        ((3.0, 2.1, 3.9), 0.01, [1, -1, 1], "undecided: not so at equal updates"),
        ((3.0, 2.1, 3.9), 0.01, [1, 0, None], "undecided: not so at equal updates, not known at equal seconds"),
        ((3.0, 2.1, 3.9), 0.06, [1, 1, 1], "undecided"),
        ((0.1, -1.0, 1.2), 0.80, [1, 1, 1], "no relevant difference"),
        ((0.1, -1.0, 2.2), 0.80, [1, 1, 1], "undecided"),
    ],
)
def test_the_rule_that_was_written_down_before_the_runs(
    points: tuple[float, float, float], p: float, signs: list[int | None], said: str
) -> None:
    axes = dict(zip(("generated tokens", "updates", "seconds"), signs, strict=True))
    assert write_evidence.decision(Interval(*(value / 100 for value in points)), p, axes) == said


@pytest.mark.slow
def test_the_page_follows_from_the_kept_studies_byte_for_byte() -> None:
    assert write_evidence.PAGE.read_text(encoding="utf-8") == write_evidence.page()
