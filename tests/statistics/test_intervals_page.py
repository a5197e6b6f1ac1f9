"""docs/intervals.md says what the simulations in docs/evidence found, and they found what the intervals promise."""

import json
import runpy
from pathlib import Path

from benchmarks.coverage import HELD_OUT_MIXES, HELD_OUT_SIZES, cases, cases_of_losses
from benchmarks.study_simulation import Outcome, settings

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


def test_the_least_coverage_that_compare_names_is_what_was_found() -> None:
    """docs/compare.md: of 40 cells of 30 questions six cover 77 to 82 %, and 500 questions cover 93 % at least."""
    rows = json.loads(SCRIPT["LOSSES"].read_text(encoding="utf-8"))["rows"]
    few = sorted(row["shipped"] for row in rows if row["questions"] == 30)
    assert len(few) == 40
    assert few[0] >= 77.0
    assert few[5] <= 82.0
    assert few[6] > 90.0
    assert all(row["shipped"] >= 93.0 for row in rows if row["questions"] == 500)
    text = (ROOT / "docs" / "compare.md").read_text(encoding="utf-8")
    assert "77 to 82 % instead of 95 % in six of 40 simulated" in text


def test_the_evidence_holds_every_study_and_the_chain_keeps_its_promises() -> None:
    found = [Outcome(**row) for row in json.loads(SCRIPT["STUDIES"].read_text(encoding="utf-8"))]
    named = [(study.effect > 0.0, study.arms, study.seeds, study.axes) for study in found]
    assert named == list(settings())
    for study in found:
        if study.effect:
            assert study.claimed >= 0.8 - 2 * study.error
        else:
            assert study.claimed <= 0.05 + 2 * study.error
