"""Protocols: whose numbers are in force for a task, and what is said where none is stated."""

import json
from pathlib import Path
from typing import Any

import pytest
from prerl_components.evaluators.holdout import Holdout
from prerl_components.evaluators.lm_eval import LmEval
from pydantic import ValidationError

from prerl_spec.evaluation.protocols import Sampling, said_by_task
from prerl_spec.registry.component import Wiring
from prerl_spec.registry.kinds.evaluator import TaskDraw
from prerl_spec.types import Decoding
from tests.evaluation.sites import tiny_scene, write_rows

BASE = Decoding(temperature=0.9, top_p=0.8, top_k=5, max_new_tokens=100, stop=("END",))


def evaluator(**settings: Any) -> LmEval:
    return LmEval.model_validate({"tasks": ["aime24_boxed"], **settings})


def draw(**settings: Any) -> TaskDraw:
    return evaluator(**settings).task_draws(BASE)[0]


def numbers(found: TaskDraw) -> tuple[float, float, int, int, int | None]:
    assert found.decoding is not None
    assert found.decoding.stop == BASE.stop
    return (
        found.decoding.temperature,
        found.decoding.top_p,
        found.decoding.top_k,
        found.decoding.max_new_tokens,
        found.samples,
    )


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, (0.9, 0.8, 5, 100, 1)),
        ({"samples": 3, "temperature": 0.5}, (0.5, 0.8, 5, 100, 3)),
        ({"protocol": "greedy"}, (0.0, 1.0, 0, 100, 1)),
        ({"protocol": "prerl"}, (1.0, 1.0, 0, 8192, 32)),
        ({"protocol": "open-r1"}, (0.6, 0.95, 0, 32768, 64)),
        ({"protocol": "open-r1", "tasks": ["math500_boxed"]}, (0.6, 0.95, 0, 32768, 4)),
        ({"protocol": "open-r1", "tasks": ["gpqa_diamond_boxed"]}, (0.6, 0.95, 0, 32768, 8)),
        ({"protocol": "open-r1", "tasks": ["gsm8k_boxed"]}, (0.6, 0.95, 0, 32768, 1)),
        ({"protocol": "qwen3-thinking"}, (0.6, 0.95, 20, 38912, 64)),
        ({"protocol": "qwen3-thinking", "tasks": ["hmmt_feb25_boxed"]}, (0.6, 0.95, 20, 32768, 64)),
        ({"protocol": "qwen3-thinking", "tasks": ["gpqa_diamond_boxed"]}, (0.6, 0.95, 20, 32768, 10)),
        ({"protocol": "task"}, (0.6, 0.95, 0, 32768, 64)),
        ({"protocol": "task", "tasks": ["gsm8k_boxed"]}, (0.0, 1.0, 0, 2048, 1)),
        ({"protocol": "open-r1", "samples": 2, "max_new_tokens": 7, "top_p": 0.5}, (0.6, 0.5, 0, 7, 2)),
        ({"protocol": "prerl", "temperature": 0.0}, (0.0, 1.0, 0, 8192, 1)),
    ],
)
def test_written_keys_win_over_the_protocol_and_it_over_the_sampler(
    settings: dict[str, Any], expected: tuple[float, float, int, int, int]
) -> None:
    assert numbers(draw(**settings)) == expected


@pytest.mark.parametrize(
    ("kwargs", "expected"),
    [
        (None, Sampling(0.0, 1.0, 0, 256, 1)),
        ({"do_sample": False, "temperature": 0.7}, Sampling(0.0, 1.0, 0, 256, 1)),
        ({"temperature": 0.7, "top_p": 0.9, "max_new_tokens": 12}, Sampling(0.7, 0.9, 0, 12, 1)),
        ({"do_sample": True, "max_tokens": 9, "max_gen_toks": 8}, Sampling(1.0, 1.0, 0, 8, 1)),
    ],
)
def test_a_tasks_yaml_is_read_as_lm_evals_models_read_it(kwargs: dict[str, Any] | None, expected: Sampling) -> None:
    assert said_by_task(kwargs) == expected


def test_without_a_protocol_the_usual_numbers_are_told() -> None:
    note = draw().note
    assert note is not None
    assert "T 0.6 (here 0.9), top_p 0.95 (here 0.8)" in note
    assert '32,768 tokens (here 100), 64 samples (here 1): protocol = "open-r1"' in note
    assert draw(protocol="greedy").note is None
    assert draw(protocol="prerl").note is None
    assert evaluator(tasks=["gsm8k_boxed"]).task_draws(Decoding(temperature=0.0, top_p=0.5))[0].note is None
    same = Decoding(temperature=0.6, top_p=0.95, max_new_tokens=32768)
    assert evaluator(samples=64).task_draws(same)[0].note is None
    assert evaluator(tasks=["arithmetic_chains_easy"]).task_draws(BASE)[0].note is None


STOCK = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {rows}}}}}
test_split: test
output_type: {kind}
doc_to_text: problem
doc_to_target: {target}
{more}
"""


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """Three tasks with metrics of their own: one that samples, one that asks and votes, one of options."""
    home = tmp_path / "tasks"
    home.mkdir()
    rows = write_rows(tmp_path / "rows.jsonl", 3)
    match = "metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]"
    kwargs = 'generation_kwargs: {until: ["zzz"], temperature: 0.3, do_sample: true, max_gen_toks: 5}'
    forms = {
        "warm": ("generate_until", "answer", f"{match}\n{kwargs}"),
        "voting": ("generate_until", "answer", f"{match}\n{kwargs}\nrepeats: 3"),
        "options": ("multiple_choice", "1", 'doc_to_choice: ["yes", "no"]'),
    }
    for name, (kind, target, more) in forms.items():
        text = STOCK.format(name=name, rows=rows, kind=kind, target=target, more=more)
        (home / f"{name}.yaml").write_text(text, encoding="utf-8")
    return str(home)


def test_a_stock_tasks_yaml_is_known_before_lm_eval_is_loaded(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prerl_spec.evaluation.tasks.catalogue.has_lm_eval", lambda: False)
    given: dict[str, Any] = {"tasks": ["warm", "voting", "options"], "include": [folder]}
    warm, voting, options = evaluator(**given).task_draws(BASE)
    assert (
        warm.note == "its own YAML says T 0.3 (here 0.9), top_p 1 (here 0.8), top_k 0 (here 5), 5 tokens (here 100): "
        'protocol = "task"'
    )
    assert (options.generates, options.decoding, options.note) == (False, None, None)
    warm, voting, options = evaluator(**given, protocol="task").task_draws(BASE)
    assert numbers(warm) == numbers(voting) == (0.3, 1.0, 0, 5, 1)
    warm, voting, options = evaluator(**given, protocol="prerl").task_draws(BASE)
    assert (warm.samples, voting.samples, options.samples) == (32, 1, 1)
    (unknown,) = evaluator(tasks=["nobodys"], protocol="task").task_draws(BASE)
    assert (unknown.decoding, unknown.samples) == (None, None)


def test_each_task_is_sampled_and_scored_by_its_own_numbers(tmp_path: Path, folder: str) -> None:
    tasks = ["warm", "options", "arithmetic_chains_easy"]
    with tiny_scene(tmp_path) as scene:
        scores = evaluator(tasks=tasks, include=[folder], protocol="task", limit=2).score(scene.site)
        heard = [(decoding.temperature, decoding.max_new_tokens) for decoding in scene.heard.decodings]
        assert heard == [(0.3, 5), (1.0, scene.site.decoding.max_new_tokens)]
    said = {score.task: (score.decoding["temperature"], score.protocol) for score in scores}
    assert said["warm"] == (0.3, "task")
    assert said["arithmetic_chains_easy"] == (1.0, "task")
    assert list(dict.fromkeys(score.task for score in scores)) == tasks


def test_the_number_of_samples_hangs_on_the_task(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", 2)
    tasks = ["gpqa_diamond_boxed", "math500_boxed"]
    given = {
        "tasks": tasks,
        "data": dict.fromkeys(tasks, str(rows)),
        "protocol": "open-r1",
        "max_new_tokens": 2,
        "k": [2, 8],
    }
    with tiny_scene(tmp_path) as scene:
        scores = evaluator(**given).score(scene.site)
        asked = [len(request.seeds) for request in scene.heard.requests]
    assert asked == [8, 8, 4, 4]
    assert {(s.task, s.samples_per_question) for s in scores} == {("gpqa_diamond_boxed", 8), ("math500_boxed", 4)}
    metrics = evaluator(**given).metrics_by_task()
    for task in tasks:
        assert set(metrics[task] or ()) >= {score.metric for score in scores if score.task == task}
    assert {s.metric for s in scores if s.task == "math500_boxed"} >= {"avg@4", "pass@2"}
    assert {s.metric for s in scores if s.task == "gpqa_diamond_boxed"} >= {"avg@8", "pass@2", "pass@8"}


def test_a_plans_settings_build_the_same_evaluator() -> None:
    for settings in ({}, {"samples": 1}, {"protocol": "open-r1"}, {"protocol": "open-r1", "samples": 1}):
        first = evaluator(**settings)
        again = LmEval.model_validate(json.loads(json.dumps(first.settings())))
        assert again.task_draws(BASE) == first.task_draws(BASE), settings
        assert again.settings() == first.settings()


def test_k_is_at_most_the_number_of_samples() -> None:
    def told(**settings: Any) -> list[tuple[str, list[str]]]:
        found = evaluator(**settings).check(Wiring(written=frozenset()))
        return [(conflict.code, [place.setting for place in conflict.places]) for conflict in found]

    assert told(k=[1, 4], samples=4) == []
    assert told(k=[8], samples=4) == [("E0701", ["k", "samples"])]
    assert told(k=[2]) == [("E0701", ["k", "samples"])]
    assert told(k=[64], protocol="open-r1") == []
    assert told(k=[64], protocol="open-r1", tasks=["math500_boxed"]) == [("E0701", ["k", "protocol"])]
    assert told(protocol="greedy", samples=4) == [("W0702", ["samples", "protocol"])]
    for wrong in ([], [0], [1, 1], ["1"], 4):
        with pytest.raises(ValidationError):
            evaluator(k=wrong, samples=4)
    with pytest.raises(ValidationError):
        evaluator(protocol="openr1")


def test_a_holdout_says_how_it_samples() -> None:
    (found,) = Holdout(data="held", samples=4, temperature=0.2).task_draws(BASE)
    assert found == TaskDraw("held", Decoding(0.2, 0.8, 5, 100, ("END",)), 4)


def test_one_sample_is_one_sample() -> None:
    assert Sampling(temperature=0.0, samples=1).differences(Decoding(temperature=0.0), 3) == ["1 sample (here 3)"]
