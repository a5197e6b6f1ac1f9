"""docs/intervals.md says what the simulations in docs/evidence found, and they found what the intervals promise."""

import json
import runpy
from pathlib import Path

from benchmarks.coverage import HELD_OUT_MIXES, HELD_OUT_SIZES, cases, cases_of_losses

ROOT = Path(__file__).parent.parent.parent
SCRIPT = runpy.run_path(str(ROOT / "docs" / "write_intervals.py"))


def test_the_page_is_up_to_date() -> None:
    assert SCRIPT["PAGE"].read_text(encoding="utf-8") == SCRIPT["page"](), "run `python docs/write_intervals.py`"


def test_the_evidence_holds_every_case_and_a_score_is_covered_in_each() -> None:
    rows = json.loads(SCRIPT["COVERAGE"].read_text(encoding="utf-8"))["rows"]
    named = [(row["metric"], row["mix"], row["questions"], row["samples"]) for row in rows]
    assert named == [(case.metric, case.mix.name, case.questions, case.samples) for case in cases()]
    assert all(row["shipped"] >= 93.0 for row in rows)
    of_scores = [
        row for row in rows if not row["metric"].startswith("difference") and row["constant"] < SCRIPT["SINGLE"]
    ]
    assert all(row["shipped"] <= 99.0 for row in of_scores)


def test_mixes_on_which_no_constant_was_chosen_are_covered_as_well() -> None:
    rows = json.loads(SCRIPT["HELD_OUT"].read_text(encoding="utf-8"))["rows"]
    held_out = list(cases(HELD_OUT_MIXES, HELD_OUT_SIZES))
    assert [(row["metric"], row["mix"]) for row in rows] == [(case.metric, case.mix.name) for case in held_out]
    assert all(93.0 <= row["shipped"] <= 99.0 for row in rows if not row["metric"].startswith("difference"))
    assert all(row["shipped"] >= 92.0 for row in rows)


def test_the_evidence_holds_every_case_of_gains_paid_for_by_losses() -> None:
    rows = json.loads(SCRIPT["LOSSES"].read_text(encoding="utf-8"))["rows"]
    named = [(row["metric"], row["mix"], row["questions"], row["samples"]) for row in rows]
    assert named == [(case.metric, case.mix.name, case.questions, case.samples) for case in cases_of_losses()]
