"""Scores of tasks with their own metrics: lm-eval's value, with an interval from its per-question values."""

from collections.abc import Mapping
from math import isfinite, isnan
from typing import Any

from lm_eval.api.metrics import mean

from prerl_spec.errors import RunFailed, UsageError
from prerl_spec.evaluation.harness.metric_intervals import interval_of, is_mean, mean_of, name_of
from prerl_spec.evaluation.harness.question_values import Logged, is_number, value_results
from prerl_spec.evaluation.harness.repeats import scored_one_by_one
from prerl_spec.evaluation.harness.response_lines import value_lines
from prerl_spec.evaluation.scores.at_k import at_k_metrics, at_k_value
from prerl_spec.evaluation.scores.question_results import MEAN
from prerl_spec.evaluation.scores.responses import Responses
from prerl_spec.evaluation.scores.scored import Scored, judged
from prerl_spec.evaluation.scores.scores import Identity, score
from prerl_spec.registry.kinds.evaluator import EvaluationSite
from prerl_spec.types import Draw


def reported_scores(
    site: EvaluationSite,
    what: Identity,
    draw: Draw,
    task: Any,
    reported: Mapping[str, Any],
    samples: Logged,
) -> Scored:
    """One score per metric and filter, named as in lm-eval ("exact_match,strict-match"), with lm-eval's value; none of a metric
    that is not a finite number, which `unstated` names. Raises RunFailed where that is so of all."""
    scores, made_by, value_Q = [], dict[str, str](), dict[str, dict[int, Any]]()
    unstated: list[str] = []
    lower: list[str] = []
    responses = Responses.of(value_results(samples, {}))
    for metric, filter_name in _metrics(reported):
        name, aggregate = f"{metric},{filter_name}", _aggregate(task, metric)
        if not isfinite(reported[name]):
            unstated.append(f"{what.task}: {name} has no score: it is {_beyond(float(reported[name]))}")
            continue
        of_filter = [s for s in samples if s["filter"] == filter_name and metric in s]
        item_Q = [s[metric] for s in of_filter]
        interval, construction = interval_of(metric, aggregate, item_Q)
        interval = interval._replace(value=float(reported[name]))
        scores.append(score(site, what, draw, name, interval, construction, len(item_Q), responses))
        made_by[name] = MEAN if is_mean(aggregate, item_Q) else name_of(aggregate)
        lower += [name] if _is_lower_better(task, metric) else []
        value_Q[name] = {s["doc_id"]: s[metric] for s in of_filter}
    if not scores:
        raise RunFailed(
            "\n".join(unstated), hint="score it by another metric in its YAML (bits_per_byte for a perplexity)"
        )
    results = value_results(samples, value_Q)
    return Scored(scores, made_by, results, value_lines(samples), tuple(unstated), tuple(lower))


def repeated_scores(site: EvaluationSite, what: Identity, draw: Draw, task: Any, samples: Logged) -> Scored:
    """avg@n of a task's own metrics over n responses per question; for 0/1 metrics pass@k for every wanted k, and with
    a written k G-Pass@k.

    The task's filters and metrics see one response at a time, exactly as in n evaluations with one response each.
    Raises UsageError if no metric of the task is a plain mean over questions.
    """
    scores, n, value_Q = [], draw.samples, dict[str, dict[int, Any]]()
    lower: list[str] = []
    repeats, responses = scored_one_by_one(task, n), Responses.of(value_results(samples, {}))
    for (metric, filter_name), by_row in repeats.values.items():
        of_question = list(by_row.values())
        if task.aggregation().get(metric) is not mean or not all(is_number(v) for vs in of_question for v in vs):
            continue
        is_right = all(value in (0, 1) for values in of_question for value in values)
        for at_k in at_k_metrics(draw, has_answers=False) if is_right else [f"avg@{n}"]:
            name = f"{at_k},{metric},{filter_name}"
            value_Q[name] = {row: _at_k(at_k, values) for row, values in by_row.items()}
            interval, construction = mean_of(metric, list(value_Q[name].values()))
            scores.append(score(site, what, draw, name, interval, construction, len(of_question), responses))
            lower += [name] if _is_lower_better(task, metric) else []
    if not scores:
        raise UsageError(
            f"samples = {n}: no metric of `{what.task}` is a mean over questions, so avg@{n} is undefined",
            hint="move it to a separate evaluator with samples = 1",
        )
    return judged(scores, value_results(samples, value_Q), value_lines(samples, repeats), tuple(lower))


def _is_lower_better(task: Any, metric: str) -> bool:
    """What the task says; lm-eval has None where neither the task nor the metric says anything."""
    return task.higher_is_better().get(metric) is False


def _beyond(value: float) -> str:
    return "not a number" if isnan(value) else "beyond the largest number (1.8e308)"


def _at_k(metric: str, values: list[Any]) -> float:
    """The metric of a question whose responses have these values."""
    if metric.startswith("avg"):
        return float(mean(values))
    found = at_k_value(metric, int(sum(values)), len(values), None)
    assert found is not None, "a task's own metrics have no votes"
    return found


def _metrics(reported: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The (metric, filter) pairs among lm-eval's results of a task, without standard errors."""
    pairs = [tuple(key.split(",", 1)) for key, value in reported.items() if "," in key and is_number(value)]
    return [(metric, filter_name) for metric, filter_name in pairs if not metric.endswith("_stderr")]


def _aggregate(task: Any, metric: str) -> Any:
    """lm-eval's function from the questions' items to the metric."""
    return task.aggregation().get(metric, mean)
