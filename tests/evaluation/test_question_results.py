"""What each question has added to a score: every score is found again from its file, in whatever way it came about."""

import dataclasses
import json
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from prerl_components.evaluators.holdout import Holdout
from prerl_components.evaluators.lm_eval import LmEval

from prerl_spec.errors import Damaged, UsageError
from prerl_spec.evaluation.scores.question_results import (
    QuestionResult,
    question_files,
    question_ids,
    read_questions,
    results_of,
    values_by_question,
    write_questions,
)
from prerl_spec.evaluation.scores.written import write_scores
from prerl_spec.storage.sealed import read_array, read_object, write_object
from prerl_spec.types import Decoding, Outcome, Score, Verdict
from tests.evaluation.own_tasks import COUNTING, MULTIPLE_CHOICE, included
from tests.evaluation.sites import EvenLength, samples_of, tiny_scene, write_rows
from tests.evaluation.test_holdout import Sums

PERPLEXITY = """
task: guesses
dataset_path: json
dataset_kwargs: {{data_files: {{test: {rows}}}}}
test_split: test
output_type: loglikelihood
doc_to_text: problem
doc_to_target: answer
metric_list:
  - {{metric: perplexity, aggregation: perplexity, higher_is_better: false}}
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
metadata: {{version: 1}}
"""


class Mute(EvenLength):
    """Finds no answer in a response of odd length."""

    def judge(self, response: str, gold: str) -> Verdict:
        return super().judge(response, gold) if len(response) % 2 == 0 else Verdict(Outcome.UNPARSABLE, 0.0)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "rows.jsonl")


def math500_boxed(rows: Path, **settings: Any) -> LmEval:
    return LmEval.model_validate(
        {"tasks": ["math500_boxed"], "data": {"math500_boxed": str(rows)}, "samples": 4, **settings}
    )


def recomputed(folder: Path, scores: list[Score]) -> dict[str, float]:
    """Each metric of scores.json from the file beside it."""
    (folder / "scores.json").unlink(missing_ok=True)
    write_scores(folder / "scores.json", scores)
    found = {}
    for row in read_array(folder / "scores.json"):
        results = results_of(folder, row)
        assert results is not None
        of_question = values_by_question(*results, row["metric"])
        assert len(of_question) == row["questions"]
        found[row["metric"]] = fmean(of_question.values())
    return found


def values_of(scores: list[Score]) -> dict[str, float]:
    return {score.metric: pytest.approx(score.value, abs=1e-12) for score in scores}


def test_a_verified_score_is_that_of_its_questions(tmp_path: Path, rows: Path) -> None:
    with tiny_scene(tmp_path, verifier=Mute()) as scene:
        scores = math500_boxed(rows).score(scene.site)
        lines = samples_of(scene.site, "math500_boxed")
    assert recomputed(tmp_path, scores) == values_of(scores)
    assert 0 < scores[0].value < 1
    header, results = read_questions(question_files(tmp_path)["base", 0, "math500_boxed"])
    assert [r.row for r in results] == list(range(6))
    for result in results:
        mine = [line for line in lines if line["question"] == result.row]
        assert (result.right, result.unparsable) == (
            sum(line["verdict"] == "right" for line in mine),
            sum(line["verdict"] == "unparsable" for line in mine),
        )
        assert result.truncated == sum(line["stop"] == "length" for line in mine)
        assert (result.samples, result.tokens) == (4, sum(line["tokens"] for line in mine))
    assert sum(r.unparsable or 0 for r in results) > 0
    assert {r.question for r in results} == set(question_ids((line["input"], line["gold"]) for line in lines[::4]))
    score = dataclasses.asdict(scores[0])
    for name in ("phase", "task", "seed", "decoding", "harness", "task_version", "task_hash", "template_hash"):
        assert header[name] == score[name], name


def test_a_holdout_is_that_of_its_questions(tmp_path: Path) -> None:
    with tiny_scene(tmp_path, chat=True, data={"sums": Sums()}) as scene:
        scores = Holdout(data="sums", samples=3, limit=4).score(scene.site)
        asked = [scene.site.codec.decode(r.context, skip_special=False) for r in scene.heard.requests]
        Holdout(data="sums", samples=3, limit=4).score(dataclasses.replace(scene.site, phase="prune", global_step=9))
        assert len(scene.heard.requests) == 4, "the second comes from the cache"
        lines = samples_of(scene.site, "sums")
    assert recomputed(tmp_path, scores) == values_of(scores)
    assert 0 < scores[0].value < 1
    results = read_questions(question_files(tmp_path)["base", 0, "sums"])[1]
    assert read_questions(question_files(tmp_path)["prune", 9, "sums"])[1] == results
    assert [r.question for r in results] == question_ids((text, "0") for text in asked)
    assert [r.tokens for r in results] == [
        sum(line["tokens"] for line in lines if line["question"] == n) for n in range(4)
    ]


def test_multiple_choice_has_the_values_of_lm_eval(tmp_path: Path, rows: Path) -> None:
    folder = included(tmp_path / "mine", MULTIPLE_CHOICE, rows=rows)
    with tiny_scene(tmp_path) as scene:
        scores = LmEval(tasks=("yes_or_no",), include=(folder,)).score(scene.site)
    assert recomputed(tmp_path, scores) == values_of(scores)
    results = read_questions(question_files(tmp_path)["base", 0, "yes_or_no"])[1]
    assert {r.values["acc,none"] for r in results} <= {0.0, 1.0}
    assert {(r.right, r.samples, r.tokens) for r in results} == {(None, None, None)}


@pytest.mark.parametrize("samples", [1, 3])
def test_a_stock_task_keeps_every_metric_and_filter(tmp_path: Path, rows: Path, samples: int) -> None:
    write_rows(rows, num_rows=8, answer="[invalid]")
    errors = COUNTING.replace("higher_is_better: true", "higher_is_better: false")
    folder = included(tmp_path / "mine", errors, name="counting", rows=rows)
    with tiny_scene(tmp_path, decoding=Decoding(max_new_tokens=20)) as scene:
        scores = LmEval(tasks=("counting",), include=(folder,), samples=samples).score(scene.site)
        lines = samples_of(scene.site, "counting")
    assert len(scores) == (2 if samples == 1 else 6)
    assert recomputed(tmp_path, scores) == values_of(scores)
    assert any(0 < score.value < 1 for score in scores)
    header, results = read_questions(question_files(tmp_path)["base", 0, "counting"])
    assert header["lower_is_better"] == [score.metric for score in scores]
    assert [r.row for r in results] == list(range(8))
    assert results[0].tokens == sum(line["tokens"] for line in lines if line["question"] == 0)
    assert results[0].samples == samples


def test_a_metric_that_is_no_mean_is_named_and_not_averaged(tmp_path: Path, rows: Path) -> None:
    folder = included(tmp_path / "mine", PERPLEXITY, rows=rows)
    with tiny_scene(tmp_path) as scene:
        evaluator = LmEval(tasks=("guesses",), include=(folder,))
        scores = evaluator.score(scene.site)
        cached = evaluator.score(dataclasses.replace(scene.site, phase="prune", global_step=20))
    later = results_of(tmp_path, dataclasses.asdict(cached[0]))
    assert later is not None
    assert later[0]["lower_is_better"] == ["perplexity,none"]
    found = results_of(tmp_path, dataclasses.asdict(scores[0]))
    assert found is not None
    assert found[0]["metrics"] == {"perplexity,none": "perplexity", "acc,none": "mean"}
    assert found[0]["lower_is_better"] == ["perplexity,none"]
    assert set(found[1][0].values) == {"perplexity,none", "acc,none"}
    with pytest.raises(UsageError, match="`perplexity,none` of guesses is a perplexity, not a mean over questions"):
        values_by_question(*found, "perplexity,none")
    with pytest.raises(UsageError, match="guesses was not scored by `f1,none`"):
        values_by_question(*found, "f1,none")


def test_a_cached_score_brings_its_questions(tmp_path: Path, rows: Path) -> None:
    with tiny_scene(tmp_path) as scene:
        math500_boxed(rows).score(scene.site)
        later = dataclasses.replace(scene.site, phase="prune", global_step=20)
        scores = math500_boxed(rows).score(later)
        assert len(scene.heard.requests) == 6, "nothing was sampled again"
    files = question_files(tmp_path)
    assert {file.name for file in files.values()} == {
        "base-000000-math500_boxed.jsonl",
        "prune-000020-math500_boxed.jsonl",
    }
    assert (
        read_questions(files["prune", 20, "math500_boxed"])[1] == read_questions(files["base", 0, "math500_boxed"])[1]
    )
    assert recomputed(tmp_path, scores) == values_of(scores)


def test_a_score_that_was_cached_without_its_questions_is_scored_again(tmp_path: Path, rows: Path) -> None:
    with tiny_scene(tmp_path) as scene:
        first = math500_boxed(rows).score(scene.site)
        (cached,) = (tmp_path / "cache").iterdir()
        write_object(cached, {"scores": read_object(cached)["scores"]})
        (tmp_path / "questions" / "base-000000-math500_boxed.jsonl").unlink()
        assert math500_boxed(rows).score(scene.site) == first
        assert len(scene.heard.requests) == 12
    assert list(question_files(tmp_path)) == [("base", 0, "math500_boxed")]


@pytest.mark.parametrize("change", [{"seed": 5}, {"limit": 3}, {"samples": 2}, {"system": "Be brief."}], ids=str)
def test_two_evaluators_of_one_task_keep_a_file_each(tmp_path: Path, rows: Path, change: dict[str, Any]) -> None:
    with tiny_scene(tmp_path) as scene:
        first = math500_boxed(rows).score(scene.site)
        second = math500_boxed(rows, **change).score(scene.site)
        again = math500_boxed(rows).score(scene.site)
    assert sorted(file.name for file in (tmp_path / "questions").iterdir()) == [
        "base-000000-math500_boxed.jsonl",
        "base-000000-math500_boxed~2.jsonl",
    ]
    assert again == first
    assert recomputed(tmp_path, first) == values_of(first)
    assert recomputed(tmp_path, second) == values_of(second)
    assert read_questions(question_files(tmp_path)["base", 0, "math500_boxed"])[0]["seed"] == 0


RESULT = QuestionResult("0123456789abcdef", row=0, right=3, samples=10, truncated=1, unparsable=0, tokens=77)
HEADER = {"phase": "a", "global_step": 7, "task": "t", "metrics": {"avg@10": "mean"}, "samples": 10}


def test_every_k_up_to_the_samples_can_be_estimated_and_no_larger_one() -> None:
    assert RESULT.value("pass@2") == 24 / 45  # 1 − C(7,2)/C(10,2) = 1 − 21/45
    assert RESULT.value("avg@10") == 0.3
    assert RESULT.value("acc,none") is None
    with pytest.raises(UsageError, match=r"pass@11: pass@11 cannot be estimated from 10 samples") as refused:
        values_by_question(HEADER, [RESULT], "pass@11")
    assert refused.value.exit_code == 2


def test_equal_questions_are_told_apart_by_their_order() -> None:
    first, second, third, other = question_ids([("a", "b"), ("a", "b"), ("a", "b"), ("a", "c")])
    assert [second, third] == [f"{first}-2", f"{first}-3"]
    assert len({first, other}) == 2
    assert question_ids([("a", "bc"), ("ab", "c")]) != question_ids([("ab", "c"), ("a", "bc")])
    # The same in every run of every version: a study is compared with the runs of last year.
    assert first == "3554d2b8a1e34099"


def test_names_of_tasks_are_never_mistaken_for_one_another(tmp_path: Path) -> None:
    tasks = ["a/b", "a_b", "a b", "a" * 300, "a" * 301, "../../a"]
    for task in tasks:
        write_questions(tmp_path, {**HEADER, "task": task}, [RESULT])
    assert len(list((tmp_path / "questions").iterdir())) == len(tasks)
    assert {task for _, _, task in question_files(tmp_path)} == set(tasks)


def test_a_file_of_questions_reads_back_and_misses_what_is_gone(tmp_path: Path) -> None:
    results = [dataclasses.replace(RESULT, row=n, values={"f1": 0.1 * n} if n else {}) for n in range(3)]
    file = write_questions(tmp_path / "evaluation", HEADER, results)
    assert write_questions(tmp_path / "evaluation", HEADER, results) == file
    header, found = read_questions(file)
    assert found == results
    assert {name: header[name] for name in HEADER} == HEADER
    assert question_files(tmp_path) == {("a", 7, "t"): file}
    assert json.loads(file.read_text().splitlines()[1])["right"] == 3
    lines = file.read_bytes().splitlines(keepends=True)
    for kept, said in (
        (lines[:-1], "t.jsonl:3: 2 whole lines follow the header, which counts 3"),
        ([], "no whole header"),
    ):
        file.write_bytes(b"".join(kept))
        with pytest.raises(Damaged, match=said):
            read_questions(file)
    with pytest.raises(FileNotFoundError):
        read_questions(file.with_name("none.jsonl"))


def test_what_is_damaged_is_neither_trusted_nor_replaced(tmp_path: Path) -> None:
    file = write_questions(tmp_path, HEADER, [RESULT])
    content = file.read_bytes()
    file.write_bytes(content.replace(b'"seed"', b'"sede"').replace(b'"t"', b'"u"'))
    with pytest.raises(Damaged, match=r"a-000007-t\.jsonl:1: the line is damaged"):
        question_files(tmp_path)
    assert write_questions(tmp_path, HEADER, [RESULT]).name == "a-000007-t~2.jsonl"


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    file = write_questions(tmp_path, {**HEADER, "format": 2}, [RESULT])
    for read in (read_questions, lambda file: question_files(tmp_path)):
        with pytest.raises(Damaged, match="has the format 2, and this version reads 1"):
            read(file)
