"""The tables at the end of a run."""

from dataclasses import MISSING, Field, fields
from pathlib import Path

import pytest

from prerl_spec.errors import RunFailed
from prerl_spec.report.tables.run_tables import complete_score
from prerl_spec.report.terminal.summary import run_summary, scores_table
from prerl_spec.types import Score
from tests.report.runs import score


def test_the_table_is_aligned_ascii(run_folder: Path) -> None:
    text = run_summary(run_folder)
    text.encode("ascii")
    scores, seconds = text.split("\n\n")
    assert scores.splitlines()[0].split() == ["task", "after", "avg@16", "pass@16", "n"]
    assert scores.splitlines()[5].split("  ")[0] == "arithmetic_chains_easy"
    assert "0.640 [0.605, 0.675]" in scores.splitlines()[5]
    assert len({len(line) for line in scores.splitlines()}) == 1
    assert seconds.splitlines()[-1].split() == ["all", "30.0", "2.4", "36.0", "2.4", "44.0", "114.8"]


def test_the_latest_score_of_a_phase_counts() -> None:
    rows = [score("refine", step, "heldout", "avg@4", value, 0, 0) for step, value in ((80, 0.4), (90, 0.6))]
    table = scores_table([complete_score(row, "row") for row in rows])
    assert "0.600" in table
    assert "0.400" not in table


def test_the_average_over_all_responses_has_one_column() -> None:
    rows = [score("refine", 80, "sums", metric, 0.4, 0, 0) for metric in ("avg@16", "pass@1", "pass@16")]
    rows += [score("refine", 80, "other", "pass@1", 0.2, 0, 0)]
    table = scores_table([complete_score(row, "row") for row in rows])
    assert table.splitlines()[0].split() == ["task", "after", "avg@16", "pass@16", "pass@1", "n"]
    assert table.splitlines()[2].split()[-4:-3] == ["-"], "the other task alone has a pass@1 of its own"


def test_scores_made_differently_get_rows_of_their_own() -> None:
    rows = [score("refine", 80, "heldout", "avg@4", value, 0, 0) for value in (0.4, 0.6)]
    rows[1]["decoding"] = {"temperature": 0.0}
    assert len(scores_table([complete_score(row, "row") for row in rows]).splitlines()) == 4


@pytest.mark.parametrize("field", [f.name for f in fields(Score) if f.default is MISSING])
def test_a_score_without_its_conditions_is_not_shown(field: str) -> None:
    """G17: n, interval, seed, decoding, versions, template, token budget."""
    row = score("refine", 80, "heldout", "avg@4", 0.4, 0, 0)
    for nothing in (None, "", {}, float("nan")):
        with pytest.raises(RunFailed, match=f"events.jsonl\\[3\\]: a score must include {field}"):
            complete_score({**row, field: nothing}, "events.jsonl[3]")
    del row[field]
    with pytest.raises(RunFailed, match=f"must include {field}"):
        complete_score(row, "row")


@pytest.mark.parametrize("field", [f for f in fields(Score) if f.default is not MISSING], ids=lambda f: f.name)
def test_what_earlier_versions_did_not_write_may_be_left_out_but_not_be_wrong(field: Field[object]) -> None:
    row = {**score("refine", 80, "heldout", "avg@4", 0.4, 0, 0)}
    row.pop(field.name, None)
    assert getattr(complete_score(row, "row"), field.name) == field.default
    for nothing in ("", float("nan"), *([] if field.default is None else [None])):
        with pytest.raises(RunFailed, match=f"must include {field.name}"):
            complete_score({**row, field.name: nothing}, "row")
