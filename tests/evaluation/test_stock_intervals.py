"""Intervals of lm-eval's metrics: inside the metric's range, and none where the questions cannot tell."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lm_eval.api import metrics
from lm_eval.api.metrics import mean

from prerl_spec.evaluation.harness.metric_intervals import interval_of, mean_of, name_of, without_overflow
from prerl_spec.statistics.bounded import MIN_QUESTIONS, bootstrap_interval, bounded_jackknife
from prerl_spec.statistics.intervals import Interval, jackknife_interval
from tests.evaluation.own_tasks import scored
from tests.evaluation.sites import write_rows

TRANSLATING = """
task: translating
dataset_path: json
dataset_kwargs: {{data_files: {{test: {rows}}}}}
test_split: test
output_type: generate_until
doc_to_text: problem
doc_to_target: answer
metric_list: [{{metric: bleu}}, {{metric: chrf}}]
metadata: {{version: 1}}
"""

JUDGING = """
task: judging
dataset_path: json
dataset_kwargs: {{data_files: {{test: {rows}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: problem
doc_to_choice: ["yes", "no"]
doc_to_target: "{{{{ 1 if answer == '4' else 0 }}}}"
metric_list: [{{metric: f1}}, {{metric: mcc}}]
metadata: {{version: 1}}
"""


def pairs(num_questions: int, wrong: int) -> list[tuple[int, int]]:
    return [(1, 1)] * (num_questions - wrong) + [(1, 0)] * wrong


def test_f1_stays_below_one() -> None:
    items = pairs(12, 1)
    assert jackknife_interval(items, metrics.f1_score).high > 1.0, "else this test shows nothing"
    interval, construction = interval_of("f1", metrics.f1_score, items)
    assert (interval.high, construction) == (1.0, "jackknife")
    assert 0.8 < interval.low < interval.value < 1.0


@pytest.mark.parametrize(
    ("aggregate", "items", "least", "most"),
    [
        (metrics.matthews_corrcoef, [*pairs(9, 0), (0, 0), (0, 1), (0, 0)], -1.0, 1.0),
        (metrics.perplexity, [-0.1, -0.2, -9.0], 0.0, math.inf),
        (metrics.f1_score, [(1, 1), (0, 1), (1, 0), (0, 0)], 0.0, 1.0),
    ],
    ids=["mcc", "perplexity", "f1"],
)
def test_no_bound_leaves_the_metrics_range(
    aggregate: Callable[[list[Any]], float], items: list[Any], least: float, most: float
) -> None:
    interval, _ = interval_of("any", aggregate, items)
    assert least <= interval.low < interval.value < interval.high <= most


def test_a_value_beyond_every_number_has_no_interval() -> None:
    perplexity = without_overflow(metrics.perplexity)
    interval, _ = interval_of("ppl", perplexity, [-900.0, -800.0])
    assert (interval.value, math.isnan(interval.low)) == (math.inf, True)
    assert (name_of(perplexity), without_overflow(mean)) == ("perplexity", mean)


def test_a_metric_in_per_cent_is_a_share() -> None:
    interval, construction = mean_of("rougeL", [90.0, 100.0, 95.0])
    assert construction == "shares"
    assert 0.0 < interval.low < interval.value < interval.high <= 100.0
    assert interval.value == pytest.approx(95.0)
    assert mean_of("mean_length", [90.0, 100.0, 95.0])[1] == "t"


def test_a_few_sentences_have_no_interval_of_bleu(tmp_path: Path) -> None:
    scores, _ = scored(tmp_path, TRANSLATING, "translating", write_rows(tmp_path / "rows.jsonl", 6))
    for metric in ("bleu,none", "chrf,none"):
        assert (math.isnan(scores[metric].low), scores[metric].interval) == (True, "none")


def test_a_hundred_sentences_have_one_inside_its_range() -> None:
    words = np.random.default_rng(1).choice(["red", "green", "blue", "dark"], (120, 12))
    items = [(" ".join(line), " ".join(np.where(line == "dark", "light", line))) for line in words]
    for aggregate in (metrics.bleu, metrics.chrf, metrics.chrfpp, metrics.ter):
        interval, construction = interval_of("any", aggregate, items)
        assert construction == "bootstrap"
        assert interval.value == pytest.approx(aggregate(items), abs=1e-9)
        assert 0.0 < interval.low < interval.value < interval.high < 100.0


def test_one_question_has_no_interval(tmp_path: Path) -> None:
    scores, _ = scored(tmp_path, JUDGING, "judging", write_rows(tmp_path / "rows.jsonl", 1))
    assert {score.interval for score in scores.values()} == {"none"}


def test_the_bootstrap_of_a_mean_is_about_its_standard_error() -> None:
    values = np.random.default_rng(0).normal(size=400).tolist()
    interval = bootstrap_interval(values, mean)
    error = np.std(values) / 20
    assert interval == bootstrap_interval(values, mean), "drawn alike every time"
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * error, rel=0.1)
    assert interval.low < interval.value < interval.high


def test_the_bootstrap_needs_a_hundred_questions() -> None:
    values = list(range(MIN_QUESTIONS))
    assert math.isfinite(bootstrap_interval(values, mean).low)
    assert math.isnan(bootstrap_interval(values[:-1], mean).low)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_no_spread_is_no_certainty(value: float) -> None:
    found: list[Interval] = [
        bootstrap_interval([value] * 100, mean),
        bounded_jackknife([value] * 100, mean, (0.0, 1.0)),
    ]
    assert all(math.isnan(interval.low) and interval.value == value for interval in found)
