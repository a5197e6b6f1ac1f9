"""The lm_eval evaluator on a real model: agreement with lm-eval's own numbers, nothing scored twice, nothing disturbed."""

import dataclasses
import json
import random
from pathlib import Path
from typing import Any

import lm_eval
import numpy as np
import pytest
import torch
from prerl_components.evaluators.lm_eval import GENERATED, LmEval

from prerl_spec.errors import EnvironmentUnmet, RunFailed, UsageError
from prerl_spec.evaluation.harness.harness import Battery, open_tasks, same_randomness_after
from prerl_spec.evaluation.harness.policy_lm import PolicyLM
from prerl_spec.evaluation.tasks.stock_index import stock_names
from prerl_spec.statistics.pass_at_k import pass_at_k
from prerl_spec.types import Draw, Rendering, Score
from tests.evaluation.own_tasks import COUNTING, MULTIPLE_CHOICE, included, scored
from tests.evaluation.sites import (
    GREEDY,
    SAMPLED,
    Busy,
    EvenLength,
    Speechless,
    samples_of,
    state_of,
    tiny_scene,
    write_rows,
)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "rows.jsonl")


def evaluator(rows: Path, **settings: Any) -> LmEval:
    given = {"tasks": ["math500_boxed"], "data": {"math500_boxed": str(rows)}, "samples": 4, **settings}
    return LmEval.model_validate(given)


def by_metric(scores: list[Score]) -> dict[str, Score]:
    return {score.metric: score for score in scores}


def test_our_scores_are_what_simple_evaluate_reports(tmp_path: Path, rows: Path) -> None:
    with tiny_scene(tmp_path) as scene:
        ours = by_metric(evaluator(rows).score(scene.site))
        draw = Draw(SAMPLED, 4, 0)
        battery = Battery(("math500_boxed",), draw, Rendering(), EvenLength(), data={"math500_boxed": rows})
        lm = PolicyLM(scene.site, Rendering(), SAMPLED, 0)
        manager = lm_eval.tasks.TaskManager(include_defaults=False)
        tasks = list(open_tasks(lm, battery).values())
        with same_randomness_after():
            theirs = lm_eval.simple_evaluate(lm, tasks=tasks, task_manager=manager, bootstrap_iters=100)
        assert theirs is not None
        reported = theirs["results"]["math500_boxed"]
        assert 0 < ours["avg@4"].value < 1
        for metric in ("avg@4", "pass@4"):
            assert ours[metric].value == reported[f"{metric},verdict"]
        assert reported["avg@4_stderr,verdict"] > 0


def test_a_score_states_how_it_was_made(tmp_path: Path, rows: Path) -> None:
    with tiny_scene(tmp_path) as scene:
        scores = evaluator(rows, temperature=0.5, limit=3, seed=9).score(scene.site)
    for score in scores:
        assert (score.questions, score.samples_per_question, score.seed) == (3, 4, 9)
        assert score.decoding == {"temperature": 0.5, "top_p": 1.0, "top_k": 0, "max_new_tokens": 12, "stop": []}
        assert score.harness == f"lm-eval {lm_eval.__version__}"
        assert (score.task, score.task_version) == ("math500_boxed", "1")
        assert all(len(text) == 64 for text in (score.task_hash, score.template_hash))
        assert score.low <= score.value <= score.high
    json.dumps([dataclasses.asdict(score) for score in scores], allow_nan=False)


def test_the_score_is_that_of_the_responses_that_people_can_read(tmp_path: Path, rows: Path) -> None:
    with tiny_scene(tmp_path) as scene:
        scores = by_metric(evaluator(rows).score(scene.site))
        lines = samples_of(scene.site, "math500_boxed")
    assert len(lines) == 6 * 4
    right: dict[int, int] = {}
    for line in lines:
        assert (line["verdict"] == "right") == (len(line["response"]) % 2 == 0)
        right[line["question"]] = right.get(line["question"], 0) + (line["verdict"] == "right")
    assert scores["avg@4"].value == pytest.approx(sum(right.values()) / 24)
    assert scores["pass@4"].value == pytest.approx(sum(pass_at_k(c, 4, 4) for c in right.values()) / 6)


def test_one_sample_has_both_names(tmp_path: Path, rows: Path) -> None:
    with tiny_scene(tmp_path) as scene:
        scores = by_metric(evaluator(rows, samples=1).score(scene.site))
    assert scores["avg@1"] == dataclasses.replace(scores["pass@1"], metric="avg@1")


def test_nothing_is_scored_twice(tmp_path: Path, rows: Path) -> None:
    with tiny_scene(tmp_path) as scene:
        first = evaluator(rows).score(scene.site)
        assert len(scene.heard.requests) == 6
        later = dataclasses.replace(scene.site, phase="prune", global_step=20, generated_tokens=5)
        again = evaluator(rows).score(later)
        assert len(scene.heard.requests) == 6
        assert [s.value for s in again] == [s.value for s in first]
        assert {(s.phase, s.global_step, s.generated_tokens) for s in again} == {("prune", 20, 5)}


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"samples": 2},
        {"limit": 5},
        {"temperature": 0.9},
        {"max_new_tokens": 5},
        {"system": "Be brief."},
        {"weights_hash": "another"},
        {"verifier": Speechless()},
        {"rows": "other"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_decides_a_score_is_part_of_its_name(tmp_path: Path, rows: Path, change: dict[str, Any]) -> None:
    with tiny_scene(tmp_path) as scene:
        evaluator(rows).score(scene.site)
        before = len(scene.heard.requests)
        of_site = {k: v for k, v in change.items() if k in ("weights_hash", "verifier")}
        if "rows" in change:
            write_rows(rows, num_rows=7)
        settings = {k: v for k, v in change.items() if k not in of_site and k != "rows"}
        try:
            evaluator(rows, **settings).score(dataclasses.replace(scene.site, **of_site))
        except RunFailed:
            assert "verifier" in of_site
        assert len(scene.heard.requests) > before


def test_the_file_s_place_is_not_part_of_a_task(tmp_path: Path, rows: Path) -> None:
    with tiny_scene(tmp_path) as scene:
        first = evaluator(rows).score(scene.site)
        moved = rows.rename(tmp_path / "moved.jsonl")
        assert evaluator(moved).score(scene.site) == first
        assert len(scene.heard.requests) == 6


def test_an_evaluation_leaves_everything_as_it_was(tmp_path: Path, rows: Path) -> None:
    with tiny_scene(tmp_path) as scene, same_randomness_after():
        random.seed(1)
        np.random.seed(2)
        torch.manual_seed(3)
        before = state_of(scene.policy)
        evaluator(rows).score(scene.site)
        LmEval(tasks=("arithmetic_chains_easy",), limit=2).score(scene.site)
        assert state_of(scene.policy) == before
        own_seeds = (random.getstate(), torch.initial_seed())
        with pytest.raises(UsageError):
            LmEval(tasks=("nobodys",)).score(scene.site)
        assert (random.getstate(), torch.initial_seed()) == own_seeds


def test_responses_do_not_depend_on_how_many_are_asked(tmp_path: Path, rows: Path) -> None:
    def responses(limit: int, samples: int) -> dict[int, list[str]]:
        with tiny_scene(tmp_path / f"{limit}-{samples}") as scene:
            evaluator(rows, limit=limit, samples=samples).score(scene.site)
            found: dict[int, list[str]] = {}
            for line in samples_of(scene.site, "math500_boxed"):
                found.setdefault(line["question"], []).append(line["response"])
            return found

    many, few = responses(6, 4), responses(2, 3)
    assert few == {question: many[question][:3] for question in (0, 1)}


def test_arithmetic_tasks_make_their_rows(tmp_path: Path) -> None:
    with tiny_scene(tmp_path) as scene:
        scores = LmEval(tasks=tuple(GENERATED), limit=3).score(scene.site)
        assert [(s.task, s.questions) for s in scores[::2]] == [(task, 3) for task in GENERATED]
        contexts = [scene.site.codec.decode(r.context) for r in scene.heard.requests]
    assert all(text.startswith("Q: ") and text.endswith(" ?") for text in contexts)
    assert max(text.count(":") for text in contexts[:3]) < min(text.count(":") for text in contexts[3:])


def test_progress_is_told_by_task(tmp_path: Path, rows: Path) -> None:
    with tiny_scene(tmp_path) as scene:
        evaluator(rows).score(scene.site)
        assert scene.ticks[0] == ("evaluate:math500_boxed", 0, 24)
        assert scene.ticks[-1] == ("evaluate:math500_boxed", 24, 24)


def test_lm_eval_stays_off_the_screen(tmp_path: Path, rows: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with tiny_scene(tmp_path) as scene:
        evaluator(rows).score(scene.site)
    assert capfd.readouterr() == ("", "")


def test_a_users_task_keeps_its_own_metrics(tmp_path: Path, rows: Path) -> None:
    folder = included(tmp_path / "mine", COUNTING, name="counting", rows=rows)
    with tiny_scene(tmp_path, decoding=GREEDY) as scene:
        scores = LmEval(tasks=("counting",), include=(folder,)).score(scene.site)
        assert [s.metric for s in scores] == ["exact_match,letters", "exact_match,whole"]
        assert {(s.task_version, s.questions, s.samples_per_question) for s in scores} == {("7", 6, 1)}
        assert scene.heard.decodings[0].stop == ("zzz",)


def test_k_responses_to_a_stock_task_are_k_evaluations(tmp_path: Path, rows: Path) -> None:
    """Right is a response without any letter a … m: avg@3 is the share of them among all responses, by hand."""
    write_rows(rows, num_rows=8, answer="[invalid]")
    scores, lines = scored(tmp_path, COUNTING, "counting", rows, samples=3)
    assert len(lines) == 24
    hits: dict[int, int] = {}
    for line in lines:
        hits[line["question"]] = hits.get(line["question"], 0) + (not set(line["response"]) & set("abcdefghijklm"))
    assert 0 < sum(hits.values()) < 24
    assert scores["avg@3,exact_match,letters"].value == pytest.approx(sum(hits.values()) / 24)
    assert scores["pass@3,exact_match,letters"].value == pytest.approx(sum(c > 0 for c in hits.values()) / 8)
    assert scores["avg@3,exact_match,whole"].value == 0.0


def test_multiple_choice_is_scored_by_log_probabilities(tmp_path: Path, rows: Path) -> None:
    folder = included(tmp_path / "mine", MULTIPLE_CHOICE, rows=rows)
    with tiny_scene(tmp_path) as scene:
        scores = by_metric(LmEval(tasks=("yes_or_no",), include=(folder,)).score(scene.site))
        codec, right = scene.site.codec, 0
        for i in range(6):
            question = codec.encode(f"What is {i} + {i}?")
            pairs = [(question, codec.encode(f" {choice}")) for choice in ("yes", "no")]
            (yes, _), (no, _) = scene.site.continuation_logps(pairs)
            right += no > yes
        assert scores["acc,none"].value == pytest.approx(right / 6)
        with pytest.raises(UsageError, match="`yes_or_no` is scored by log-probabilities"):
            LmEval(tasks=("yes_or_no",), include=(folder,), samples=2).score(scene.site)


def test_local_rows_replace_a_tasks_data_set(tmp_path: Path, rows: Path) -> None:
    folder = included(tmp_path / "mine", COUNTING, name="counting", rows="/nowhere.jsonl")
    with tiny_scene(tmp_path) as scene:
        settings = {"tasks": ("counting",), "include": (folder,), "data": {"counting": str(rows)}}
        scores = LmEval.model_validate(settings).score(scene.site)
        assert {s.questions for s in scores} == {6}
        shown = LmEval.model_validate({**settings, "num_fewshot": 2}).score(scene.site)
        assert {s.template_hash for s in shown} != {s.template_hash for s in scores}
        asked = scene.site.codec.decode(scene.heard.requests[-1].context)
        assert asked.count("What is") == 3
        assert asked.count("What is 5 + 5?") == 1


def test_an_unknown_task_is_told_with_its_neighbours(tmp_path: Path) -> None:
    with tiny_scene(tmp_path) as scene, pytest.raises(UsageError) as caught:
        LmEval(tasks=("mathh500_boxed", "gsm8kk")).score(scene.site)
    assert "unknown task `mathh500_boxed`: did you mean `math500_boxed`" in caught.value.message
    assert "`gsm8k`" in caught.value.message
    assert caught.value.exit_code == 2


def test_a_task_of_ours_cannot_be_replaced_unseen(tmp_path: Path, rows: Path) -> None:
    folder = included(tmp_path / "mine", COUNTING, name="math500_boxed", rows=rows)
    with tiny_scene(tmp_path) as scene, pytest.raises(UsageError, match="defines `math500_boxed`"):
        evaluator(rows, include=[folder]).score(scene.site)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "rows.jsonl:7: not JSON: Expecting"),
        ('["a"]', "rows.jsonl:7: not a JSON object"),
        ('{"answer": "4"}', 'rows.jsonl:7: no text in "problem"'),
        ('{"problem": "2+2", "answer": ""}', 'rows.jsonl:7: no text or number in "answer"'),
        ('{"problem": "2+2", "answer": "unfit"}', "rows.jsonl:7: it is unfit"),
    ],
)
def test_a_row_that_cannot_be_used_is_told_with_its_line(tmp_path: Path, rows: Path, line: str, why: str) -> None:
    rows.write_text(rows.read_text() + line + "\n")
    with tiny_scene(tmp_path) as scene, pytest.raises(EnvironmentUnmet) as caught:
        evaluator(rows).score(scene.site)
    assert why in caught.value.message
    assert not scene.heard.requests


def test_missing_and_empty_files_are_told(tmp_path: Path, rows: Path) -> None:
    with tiny_scene(tmp_path) as scene:
        rows.write_text("\n")
        with pytest.raises(EnvironmentUnmet, match="contains no rows for math500_boxed"):
            evaluator(rows).score(scene.site)
        rows.unlink()
        with pytest.raises(EnvironmentUnmet, match="cannot be read"):
            evaluator(rows).score(scene.site)


def test_an_unreachable_hub_is_told_with_the_way_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    with tiny_scene(tmp_path) as scene, pytest.raises(EnvironmentUnmet, match="HuggingFaceH4/MATH-500") as caught:
        LmEval(tasks=("math500_boxed",)).score(scene.site)
    assert caught.value.hint is not None
    assert "--data math500_boxed=rows.jsonl" in caught.value.hint
    assert caught.value.exit_code == 3


def test_worked_examples_that_a_task_does_not_have_are_refused(tmp_path: Path, rows: Path) -> None:
    with tiny_scene(tmp_path) as scene, pytest.raises(UsageError, match="`math500_boxed` has no few-shot examples"):
        evaluator(rows, num_fewshot=2).score(scene.site)


def test_a_verifier_without_verdicts_gives_no_score(tmp_path: Path, rows: Path) -> None:
    with (
        tiny_scene(tmp_path, verifier=Speechless()) as scene,
        pytest.raises(RunFailed, match="no verdict on 24 of 24 responses; first: still thinking"),
    ):
        evaluator(rows).score(scene.site)


def test_an_answers_timeout_is_wrong_and_stops_no_evaluation(tmp_path: Path, rows: Path) -> None:
    with tiny_scene(tmp_path / "busy", verifier=Busy()) as busy, tiny_scene(tmp_path / "even") as even:
        found, expected = evaluator(rows).score(busy.site), evaluator(rows).score(even.site)
    assert [(s.metric, s.value) for s in found] == [(s.metric, s.value) for s in expected]
    assert 0 < found[0].value < 1


@pytest.mark.shared
def test_stock_gsm8k_over_local_rows(tmp_path: Path) -> None:
    """lm-eval's own task by absolute include: a random model scores about nothing, the path is the point."""
    shared = Path(__file__).parents[3] / "shared" / "data" / "gsm8k"
    if not shared.is_dir():
        pytest.skip("no rows beside the checkout")
    stock = stock_names()["gsm8k"].file
    text = "include: {stock}\ntask: gsm8k_local\ndataset_path: json\ndataset_name: null\n"
    text += "dataset_kwargs: {{data_files: {{train: {shared}/train.jsonl, test: {shared}/test.jsonl}}}}\n"
    folder = included(tmp_path / "mine", text, stock=stock, shared=shared)
    with tiny_scene(tmp_path) as scene:
        settings = {"tasks": ["gsm8k_local"], "include": [folder], "limit": 5, "num_fewshot": 0}
        scores = by_metric(LmEval.model_validate(settings).score(scene.site))
    strict = scores["exact_match,strict-match"]
    assert (strict.value, strict.questions, strict.task_version) == (0.0, 5, "3.0")


def test_randomness_is_put_back_even_after_a_failure() -> None:
    before = (
        random.getstate(),
        np.random.get_state(legacy=False)["state"]["pos"],
        torch.random.get_rng_state().tolist(),
    )

    def draw_and_fail() -> None:
        random.seed(1)
        np.random.seed(2)
        torch.manual_seed(3)
        raise RunFailed("out of luck")

    with pytest.raises(RunFailed), same_randomness_after():
        draw_and_fail()
    after = (
        random.getstate(),
        np.random.get_state(legacy=False)["state"]["pos"],
        torch.random.get_rng_state().tolist(),
    )
    assert after == before
