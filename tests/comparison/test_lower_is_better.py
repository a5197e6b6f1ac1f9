"""Metrics of which less is better: findings, thresholds and tables have them the right way round."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from prerl_spec.comparison.claims import finding_of
from prerl_spec.comparison.compare import compare
from prerl_spec.comparison.page.page import render
from prerl_spec.comparison.written.json_form import as_json
from prerl_spec.comparison.written.paper_tables import as_markdown
from prerl_spec.comparison.written.text import as_text
from prerl_spec.errors import UsageError
from prerl_spec.evaluation.scores.directions import is_lower_better
from prerl_spec.evaluation.scores.question_results import QuestionResult, write_questions
from prerl_spec.storage.chained_lines import read_lines
from prerl_spec.storage.sealed import read_array
from tests.comparison.runs import Made, evaluation, write_model, write_run
from tests.comparison.test_claims import BETTER
from tests.run_files import write_events, write_scores

PERPLEXITY = "word_perplexity,none"


def learning(rate: float) -> Callable[[int], float]:
    return lambda step: 0.2 + rate * step


def perplexities(folder: Path, made: Made) -> Path:
    """A run whose score is 20 − 10 × the share of right responses, under the name of a perplexity."""
    write_run(folder, made)
    events = list(read_lines(folder / "events.jsonl").entries)
    for event in events:
        if event["event"] == "evaluate":
            event["scores"] = [
                {**s, "metric": PERPLEXITY, "value": 20 - 10 * s["value"]}
                for s in event["scores"]
                if s["metric"].startswith("avg")
            ]
    write_events(folder / "events.jsonl", events)
    write_scores(folder / "scores.json", [s for e in events if e["event"] == "evaluate" for s in e["scores"]])
    return folder


def test_a_falling_perplexity_is_better(tmp_path: Path) -> None:
    folders = [
        perplexities(tmp_path / f"{arm}-{seed}", Made(arm=arm, seed=seed, every=5, level=learning(rate)))
        for arm, rate in ((1.0, 0.02), (2.0, 0.035))
        for seed in (0, 1, 2)
    ]
    found = compare(folders)
    (table,) = found.tables
    (only,) = table.differences
    assert only.by_seeds is not None
    assert only.by_seeds.interval.value < 0
    assert only.finding.words == "better at equal generated tokens"
    assert only.finding.code == "better"
    assert table.threshold is not None
    first, second = table.reached
    assert second.num_reached == 3
    assert first.generated_tokens is not None
    assert second.generated_tokens is not None
    assert 0 < second.generated_tokens <= first.generated_tokens
    assert f"{PERPLEXITY}  (lower is better)" in as_text(found)
    assert "(lower is better)" in as_markdown(found)
    assert json.loads(as_json(found))["tables"][0]["lower_is_better"] is True
    assert '<b class="better">' in render(found)
    turned = compare([*folders[3:], *folders[:3]]).tables[0].differences[0]
    assert turned.finding.code == "worse"


def test_checkpoints_are_said_to_score_lower_and_that_it_is_better() -> None:
    assert BETTER.by_questions is not None
    only: Any = replace(BETTER, by_seeds=None, lower_is_better=True)
    higher = finding_of(only, 0.02)
    assert (higher.code, higher.words) == (
        "higher",
        "this checkpoint scores higher, which is worse, at equal generated tokens",
    )
    as_they_are = finding_of(replace(only, axes={}, ends_alike=()), 0.02)
    assert as_they_are.words == "this checkpoint scores higher, which is worse"


def test_a_task_may_say_of_any_metric_that_less_is_better(tmp_path: Path) -> None:
    folders = []
    for arm, share in ((1.0, 0.9), (2.0, 0.1)):
        folder = write_model(tmp_path / str(arm), Made(arm=arm))
        row = dict(read_array(folder / "scores.json")[0])
        results = [
            QuestionResult(
                f"q{n}", n, values={"toxic,none": float(n < share * 40)}, samples=row["samples_per_question"]
            )
            for n in range(40)
        ]
        header = {**row, "samples": row["samples_per_question"]}
        write_questions(
            folder, {**header, "metrics": {"toxic,none": "mean"}, "lower_is_better": ["toxic,none"]}, results
        )
        write_scores(folder / "scores.json", [{**row, "metric": "toxic,none", "value": share}])
        folders.append(folder)
    found = compare(folders)
    assert found.tables[0].lower_is_better
    assert found.tables[0].differences[0].finding.words == "this checkpoint scores lower, which is better"
    assert '<b class="better">' in render(found)


@pytest.mark.parametrize(
    ("metric", "is_lower"),
    [
        ("word_perplexity,none", True),
        ("bits_per_byte,none", True),
        ("avg@4,ter,none", True),
        ("brier_score,none", True),
        ("acc,none", False),
        ("pass@4", False),
        ("perplexity_of_nothing", False),
    ],
)
def test_a_name_says_whether_less_is_better(metric: str, is_lower: bool) -> None:
    assert is_lower_better(metric) is is_lower
    assert is_lower_better(metric, [metric])


def test_a_curve_of_the_other_direction_is_refused_and_not_advised(tmp_path: Path) -> None:
    """A fallen perplexity has the sign of a fallen share of right answers, and means the opposite."""
    folders = []
    for made in (Made(every=20), Made(arm=2.0, every=20, seconds=3.0, level=learning(0.03))):
        folder = write_run(tmp_path / str(made.arm), made)
        events = [e for e in read_lines(folder / "events.jsonl").entries if e["event"] != "end"]
        curve = [
            evaluation(folder, replace(made, task="curve"), "refine" if step else "base", step)
            for step in range(0, 21, 2)
        ]
        for event in curve:
            event["scores"] = [
                {**s, "metric": PERPLEXITY, "value": 20 - 10 * s["value"]}
                for s in event["scores"]
                if s["metric"].startswith("avg")
            ]
        write_events(folder / "events.jsonl", [curve[0], *events, *curve[1:], {"event": "end"}])
        (folder / "scores.json").unlink()
        folders.append(folder)
    assert compare(folders, task="easy/pass@1").tables[0].differences[0].axes["seconds"].how == "unknown"
    assert compare(folders).advice == ""
    with pytest.raises(UsageError, match=r"lower is better in curve/word_perplexity,none, and higher in easy/pass@1"):
        compare(folders, task="easy/pass@1", curve=f"curve/{PERPLEXITY}")
    with pytest.raises(UsageError, match=r"--curve easy/pass@1: too few scores for a curve"):
        compare(folders, task="easy/pass@1", curve="easy/pass@1")
