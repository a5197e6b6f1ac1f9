"""The metrics of n responses a question: every wanted k from the same responses, and what became of these."""

import dataclasses
import json
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from prerl_components.verifiers.math_verify import MathVerify

from prerl_spec.errors import UsageError
from prerl_spec.evaluation.harness.harness import Battery, score_battery
from prerl_spec.evaluation.scores.answer_votes import answer_votes
from prerl_spec.evaluation.scores.question_results import (
    QuestionResult,
    question_files,
    read_questions,
    values_by_question,
)
from prerl_spec.evaluation.scores.written import write_scores
from prerl_spec.registry.kinds.evaluator import EvaluationSite
from prerl_spec.report.tables.score_tables import ScoredModel, as_text
from prerl_spec.statistics.majority import maj_at_k
from prerl_spec.statistics.stable_pass import g_pass_at_k
from prerl_spec.storage.sealed import read_array
from prerl_spec.types import Decoding, Draw, Outcome, Rendering, Score, Verdict
from tests.evaluation.own_tasks import COUNTING, included
from tests.evaluation.sites import SAMPLED, EvenLength, samples_of, tiny_scene, write_rows

TASK = "arithmetic_chains_easy"


class LastDigit(EvenLength):
    """Answers with the length of the response modulo 4, right where that is 0; a fifth of the responses have none."""

    def judge(self, response: str, gold: str) -> Verdict:
        if len(response) % 5 == 1:
            return Verdict(Outcome.UNPARSABLE, 0.0)
        answer = str(len(response) % 4)
        return Verdict(Outcome.RIGHT, 1.0, answer) if answer == "0" else Verdict(Outcome.WRONG, 0.0, answer)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "rows.jsonl")


def scored(site: EvaluationSite, rows: Path, *k: int, samples: int = 6, protocol: str = "off") -> dict[str, Score]:
    draw = Draw(SAMPLED, samples, 0, k=k, protocol=protocol)
    scores = score_battery(site, Battery((TASK,), draw, Rendering(), site.verifier or EvenLength(), data={TASK: rows}))
    return {score.metric: score for score in scores}


def test_every_k_is_counted_from_the_same_responses(tmp_path: Path, rows: Path) -> None:
    with tiny_scene(tmp_path, verifier=LastDigit()) as scene:
        scores = scored(scene.site, rows, 1, 2, 3, 6)
        asked = len(scene.heard.requests)
        other = scored(scene.site, rows, 4, protocol="open-r1")
        assert len(scene.heard.requests) == asked, "another k needs no other responses"
        lines = samples_of(scene.site, TASK)
    assert list(scores) == [
        *("avg@6", "pass@1", "pass@2", "pass@3", "pass@6", "maj@2", "G-Pass@2_0.5", "mG-Pass@2"),
        *("maj@3", "G-Pass@3_0.5", "maj@6", "G-Pass@6_0.5", "mG-Pass@6"),
    ]
    assert list(other) == ["avg@6", "pass@4", "maj@4", "G-Pass@4_0.5", "mG-Pass@4"]
    assert {score.protocol for score in other.values()} == {"open-r1"}, "a protocol's name needs none either"
    of_question: dict[int, list[dict[str, Any]]] = {}
    for line in lines:
        of_question.setdefault(line["question"], []).append(line)
    majority, stable = [], []
    for responses in of_question.values():
        answers = [line["answer"] for line in responses if line["answer"] is not None]
        votes = [(answers.count(answer), answer == "0") for answer in sorted(set(answers))]
        majority.append(maj_at_k(votes, 6, 3))
        stable.append(g_pass_at_k(sum(line["verdict"] == "right" for line in responses), 6, 6))
    assert 0 < fmean(majority) < 1
    assert scores["maj@3"].value == pytest.approx(fmean(majority))
    assert scores["G-Pass@6_0.5"].value == pytest.approx(fmean(stable))
    assert scores["pass@1"].value == pytest.approx(scores["avg@6"].value)


def test_unasked_there_is_no_consensus(tmp_path: Path, rows: Path) -> None:
    with tiny_scene(tmp_path, verifier=LastDigit()) as scene:
        assert list(scored(scene.site, rows)) == ["avg@6", "pass@1", "pass@6"]
        assert list(scored(scene.site, rows, samples=1)) == ["avg@1", "pass@1"]


def test_the_questions_keep_what_any_k_is_counted_from(tmp_path: Path, rows: Path) -> None:
    with tiny_scene(tmp_path, verifier=LastDigit()) as scene:
        scores = scored(scene.site, rows, 2, 6)
    header, results = read_questions(question_files(tmp_path)["base", 0, TASK])
    for metric, score in scores.items():
        assert fmean(values_by_question(header, results, metric).values()) == pytest.approx(score.value)
    assert len(values_by_question(header, results, "maj@5")) == 6
    assert len(values_by_question(header, results, "G-Pass@5_0.8")) == 6
    with pytest.raises(UsageError, match="maj@7 cannot be estimated from 6 samples"):
        values_by_question(header, results, "maj@7")
    with pytest.raises(UsageError, match="an even k only"):
        values_by_question(header, results, "mG-Pass@3")


def test_a_verifier_that_names_no_wrong_answer_lets_nobody_vote(tmp_path: Path, rows: Path) -> None:
    with tiny_scene(tmp_path) as scene:
        scores = scored(scene.site, rows, 2)
    assert list(scores) == ["avg@6", "pass@2", "G-Pass@2_0.5", "mG-Pass@2"]
    assert QuestionResult("q", 0, right=1, samples=2).value("maj@2") is None


def test_answers_are_one_where_the_verifier_says_so(tmp_path: Path) -> None:
    verifier = MathVerify()
    responses = [rf"\boxed{{{answer}}}" for answer in ("2", "2.0", r"\frac{1}{2}", "0.5", "0.50", "7", "1 , 3", "1,3")]
    verdicts = [verifier.judge(response, "2") for response in [*responses, "no box"]]
    with tiny_scene(tmp_path) as scene:
        votes = answer_votes(scene.site, verifier, [verdicts, [verifier.judge("nothing", "2")] * 3])
    assert votes == [((3, False), (2, True), (2, False), (1, False)), ()]


def test_a_score_says_what_became_of_the_responses(tmp_path: Path, rows: Path) -> None:
    with tiny_scene(tmp_path, verifier=LastDigit()) as scene:
        (score, *_) = scored(scene.site, rows).values()
        lines = samples_of(scene.site, TASK)
    assert len(lines) == 36
    tokens = [line["tokens"] for line in lines]
    assert score.truncated == pytest.approx(fmean(line["stop"] == "length" for line in lines))
    assert score.unparsable == pytest.approx(fmean(line["verdict"] == "unparsable" for line in lines))
    assert (score.mean_length, score.tokens_scored) == (pytest.approx(fmean(tokens)), sum(tokens))
    assert 0 < score.truncated < 1
    assert 0 < score.unparsable < 1
    assert (score.generated_tokens, score.protocol, score.interval) == (0, "off", "shares")


def test_k_counts_for_the_metrics_of_a_stock_task(tmp_path: Path, rows: Path) -> None:
    write_rows(rows, num_rows=8, answer="[invalid]")
    folder = Path(included(tmp_path / "mine", COUNTING, name="counting", rows=rows))
    battery = Battery(
        ("counting",), Draw(Decoding(max_new_tokens=20), 4, 0, k=(1, 2)), Rendering(), EvenLength(), include=(folder,)
    )
    with tiny_scene(tmp_path) as scene:
        scores = {score.metric: score for score in score_battery(scene.site, battery)}
        lines = samples_of(scene.site, "counting")
    of_letters = [name for name in scores if name.endswith(",letters")]
    names = ("avg@4", "pass@1", "pass@2", "G-Pass@2_0.5", "mG-Pass@2")
    assert of_letters == [f"{name},exact_match,letters" for name in names]
    assert scores["pass@1,exact_match,letters"].value == pytest.approx(scores["avg@4,exact_match,letters"].value)
    assert 0 < scores["pass@1,exact_match,letters"].value < scores["pass@2,exact_match,letters"].value < 1
    for line in lines:
        hit = not set(line["response"]) & set("abcdefghijklm")
        assert (line["verdict"], line["answer"] == "[invalid]") == ("right" if hit else "wrong", hit)
        assert line["values"] == {"exact_match,letters": float(hit), "exact_match,whole": 0.0}
        assert line["filtered"]["whole"] == line["response"]
    assert {line["sample"] for line in lines} == set(range(4))
    ids = {result.question for result in read_questions(question_files(tmp_path)["base", 0, "counting"])[1]}
    assert {line["id"] for line in lines} == ids


def test_a_bound_that_does_not_exist_is_null(tmp_path: Path, rows: Path) -> None:
    with tiny_scene(tmp_path) as scene:
        score = scored(scene.site, rows)["avg@6"]
    without = dataclasses.replace(score, low=float("nan"), high=float("nan"), interval="none")
    for one in (score, without):
        write_scores(tmp_path / "scores.json", [one])
    (row,) = read_array(tmp_path / "scores.json")
    assert (row["low"], row["high"], row["interval"]) == (None, None, "none")
    json.dumps(row, allow_nan=False)
    assert Score.of_row(row).bounds_text() == "-"
    assert as_text([ScoredModel("m", "m", "m", (without,))]).splitlines()[1].split()[3] == "none"


def test_a_score_of_an_earlier_version_is_read(tmp_path: Path, rows: Path) -> None:
    with tiny_scene(tmp_path) as scene:
        score = scored(scene.site, rows)["avg@6"]
    later = ("protocol", "truncated", "unparsable", "mean_length", "tokens_scored", "interval")
    row = {name: value for name, value in score.as_row().items() if name not in later}
    assert Score.of_row(row) == dataclasses.replace(
        score, truncated=None, unparsable=None, mean_length=None, tokens_scored=None, interval="not recorded"
    )
