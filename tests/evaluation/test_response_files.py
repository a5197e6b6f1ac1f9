"""Every response of an evaluation in a file, with what the task makes of it: also where only texts are scored."""

import json
from pathlib import Path

import pytest
from prerl_components.evaluators.holdout import Holdout
from prerl_components.evaluators.lm_eval import LmEval

from prerl_spec.errors import RunFailed
from prerl_spec.evaluation.scores.question_results import question_files, read_questions
from tests.evaluation.own_tasks import COUNTING, MULTIPLE_CHOICE, scored
from tests.evaluation.sites import samples_of, tiny_scene, write_rows
from tests.evaluation.test_holdout import Sums

ROLLING = """
task: texts
dataset_path: json
dataset_kwargs: {{data_files: {{test: {rows}}}}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: problem
metric_list: [{{metric: word_perplexity}}, {{metric: bits_per_byte}}]
metadata: {{version: 1}}
"""

VOTING = """
task: voting
dataset_path: json
dataset_kwargs: {{data_files: {{test: {rows}}}}}
test_split: test
output_type: generate_until
doc_to_text: problem
doc_to_target: answer
repeats: 3
metric_list: [{{metric: exact_match}}]
filter_list:
  - name: vote
    filter: [{{function: regex, regex_pattern: "[a-z]"}}, {{function: majority_vote}}, {{function: take_first}}]
metadata: {{version: 1}}
"""


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "rows.jsonl", num_rows=10)


def test_every_response_is_kept_however_many_there_are(tmp_path: Path) -> None:
    with tiny_scene(tmp_path, chat=True, data={"sums": Sums()}) as scene:
        Holdout(data="sums", samples=5).score(scene.site)
        lines = samples_of(scene.site, "sums")
    results = read_questions(question_files(tmp_path)["base", 0, "sums"])[1]
    assert [(line["question"], line["sample"]) for line in lines] == [(r.row, n) for r in results for n in range(5)]
    assert {line["verdict"] for line in lines} == {"right", "wrong"}
    assert {line["id"] for line in lines} == {r.question for r in results}


def test_a_stock_tasks_responses_have_its_verdict_and_its_answer(tmp_path: Path, rows: Path) -> None:
    write_rows(rows, num_rows=10, answer="[invalid]")
    _, lines = scored(tmp_path, COUNTING, "counting", rows)
    assert len(lines) == 10
    for line in lines:
        hit = not set(line["response"]) & set("abcdefghijklm")
        assert line["verdict"] == ("right" if hit else "wrong")
        assert line["answer"] == line["filtered"]["letters"]
        assert line["values"] == {"exact_match,letters": float(hit), "exact_match,whole": 0.0}
    assert {line["verdict"] for line in lines} == {"right", "wrong"}


def test_choices_have_their_log_likelihoods(tmp_path: Path, rows: Path) -> None:
    _, lines = scored(tmp_path, MULTIPLE_CHOICE, "yes_or_no", rows)
    assert len(lines) == 10
    for line in lines:
        yes, no = line["loglikelihoods"]
        assert line["choices"] == [" yes", " no"]
        assert line["answer"] == (" yes" if yes > no else " no")
        assert line["verdict"] == ("wrong" if yes > no else "right")
        assert line["values"]["acc,none"] == float(no > yes)
        assert line["greedy"] == [False, False]


def test_a_scored_text_has_its_own(tmp_path: Path, rows: Path) -> None:
    _, (first, *_) = scored(tmp_path, ROLLING, "texts", rows, limit=3)
    assert first["loglikelihoods"][0] < 0
    assert (first["choices"], first["verdict"], first["answer"]) == ([], None, None)


def test_a_perplexity_beyond_every_number_has_no_score_and_its_kin_have(
    tmp_path: Path, rows: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows.write_text("".join(json.dumps({"problem": "x" * 300 + str(n)}) + "\n" for n in range(3)), encoding="utf-8")
    scores, _ = scored(tmp_path, ROLLING, "texts", rows)
    assert list(scores) == ["bits_per_byte,none"]
    assert "warning: texts: word_perplexity,none has no score: it is beyond" in capsys.readouterr().err
    alone = ROLLING.replace(", {{metric: bits_per_byte}}", "").replace("task: texts", "task: alone")
    with pytest.raises(RunFailed, match="alone: word_perplexity,none has no score"):
        scored(tmp_path, alone, "alone", rows)


def test_a_task_that_votes_has_the_questions_verdict_on_each_response(tmp_path: Path, rows: Path) -> None:
    _, lines = scored(tmp_path, VOTING, "voting", rows, limit=4)
    assert len(lines) == 12
    for row in range(4):
        of_question = [line for line in lines if line["question"] == row]
        assert len({json.dumps([line["verdict"], line["answer"], line["values"]]) for line in of_question}) == 1
        assert [line["sample"] for line in of_question] == [0, 1, 2]


def test_evaluators_of_other_conditions_keep_a_file_each(tmp_path: Path, rows: Path) -> None:
    with tiny_scene(tmp_path) as scene:
        for seed in (0, 1):
            LmEval(tasks=("arithmetic_chains_easy",), data={"arithmetic_chains_easy": str(rows)}, seed=seed).score(
                scene.site
            )
    names = sorted(file.name for file in (tmp_path / "samples").iterdir())
    assert names == ["base-000000-arithmetic_chains_easy.jsonl", "base-000000-arithmetic_chains_easy~2.jsonl"]
    assert names == sorted(file.name for file in (tmp_path / "questions").iterdir())
