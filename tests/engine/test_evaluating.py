"""When evaluators score."""

import json
from pathlib import Path
from statistics import fmean

import pytest

from prerl_spec.evaluation.scores.question_results import (
    question_files,
    read_questions,
    results_of,
    values_by_question,
)
from prerl_spec.storage.sealed import read_array
from tests.engine.runs import SPEC, start

ALONE = SPEC[: SPEC.index("[[phases]]")]
EVALUATE = '[[evaluate]]\nuse = "holdout"\ndata = "train"\nlimit = 2\nat = {at}\n'


@pytest.mark.parametrize("at", ['["base", "phases"]', '["end"]'])
def test_a_run_without_phases_scores_the_model_as_base_once(tmp_path: Path, at: str) -> None:
    folder = start(tmp_path, ALONE + EVALUATE.format(at=at))
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    assert [e["phase"] for e in events if e["event"] == "evaluate"] == ["base"]


def test_every_score_of_a_run_has_its_questions(tmp_path: Path) -> None:
    evaluate = EVALUATE.format(at='["base", "phases"]') + "every = 2\nsamples = 2\n"
    folder = start(tmp_path, ALONE + evaluate + SPEC[SPEC.index("[[phases]]") : SPEC.rindex("[[phases]]")])
    scores = read_array(folder / "scores.json")
    assert [(s["phase"], s["global_step"]) for s in scores[::2]] == [
        ("base", 0), ("pretrain", 2), ("pretrain", 3), ("prune", 5), ("prune", 6)
    ]  # fmt: skip
    for score in scores:
        found = results_of(folder, score)
        assert found is not None
        assert fmean(values_by_question(*found, score["metric"]).values()) == score["value"]
    assert {file.name for file in question_files(folder).values()} == {
        f"{s['phase']}-{s['global_step']:06d}-train.jsonl" for s in scores
    }
    asked = {tuple(r.question for r in read_questions(file)[1]) for file in question_files(folder).values()}
    assert len(asked) == 1, "the same questions, known by the same names at every step"
