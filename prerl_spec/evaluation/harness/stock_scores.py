"""Scores of tasks with their own metrics: lm-eval's value, with an interval from its per-question values."""

from collections.abc import Mapping, Sequence
from typing import Any

from lm_eval.api.metrics import mean

from prerl_spec.errors import UsageError
from prerl_spec.evaluation.scores.scores import Identity, score
from prerl_spec.registry.kinds.evaluator import EvaluationSite
from prerl_spec.statistics.intervals import Interval, jackknife_interval, mean_interval, share_interval
from prerl_spec.statistics.pass_at_k import pass_at_k
from prerl_spec.types import Draw, Score


def reported_scores(
    site: EvaluationSite,
    what: Identity,
    draw: Draw,
    task: Any,
    reported: Mapping[str, Any],
    samples: Sequence[Mapping[str, Any]],
) -> list[Score]:
    """One score per metric and filter, named as in lm-eval ("exact_match,strict-match"), with lm-eval's value."""
    scores = []
    for metric, filter_name in _metrics(reported):
        item_Q = [s[metric] for s in samples if s["filter"] == filter_name and metric in s]
        interval = _interval(task, metric, item_Q)
        interval = interval._replace(value=float(reported[f"{metric},{filter_name}"]))
        scores.append(score(site, what, draw, f"{metric},{filter_name}", interval, len(item_Q)))
    return scores


def repeated_scores(site: EvaluationSite, what: Identity, draw: Draw, task: Any) -> list[Score]:
    """avg@k (and pass@k for 0/1 metrics) of a task's own metrics over k responses per question.

    The task's filters and metrics see one response at a time, exactly as in k evaluations with one response each.
    Raises UsageError if no metric of the task is a plain mean over questions.
    """
    value_QK = _values_of_each_repeat(task, draw.samples)
    scores, k = [], draw.samples
    for (metric, filter_name), of_question in value_QK.items():
        if task.aggregation().get(metric) is not mean or not all(_is_number(v) for vs in of_question for v in vs):
            continue
        means = [mean(values) for values in of_question]
        name = f"{metric},{filter_name}"
        scores.append(score(site, what, draw, f"avg@{k},{name}", _bounded(means), len(means)))
        if all(value in (0, 1) for values in of_question for value in values):
            passed = [pass_at_k(int(sum(values)), k, k) for values in of_question]
            scores.append(score(site, what, draw, f"pass@{k},{name}", share_interval(passed), len(passed)))
    if not scores:
        raise UsageError(
            f"samples = {k}: no metric of `{what.task}` is a mean over questions, so avg@{k} is undefined",
            hint="move it to a separate evaluator with samples = 1",
        )
    return scores


def _values_of_each_repeat(task: Any, num_repeats: int) -> dict[tuple[str, str], list[list[Any]]]:
    """(metric, filter) -> values [question][response]."""
    all_responses = [list(instance.resps) for instance in task.instances]
    values: dict[tuple[str, str], dict[int, list[Any]]] = {}
    for repeat in range(num_repeats):
        for instance, responses in zip(task.instances, all_responses, strict=True):
            instance.resps, instance.filtered_resps = [responses[repeat]], {}
        task.apply_filters()
        for instance in task.instances:
            for filter_name, filtered in instance.filtered_resps.items():
                for metric, value in task.process_results(instance.doc, [filtered]).items():
                    values.setdefault((metric, filter_name), {}).setdefault(instance.doc_id, []).append(value)
    for instance, responses in zip(task.instances, all_responses, strict=True):
        instance.resps = responses
    return {name: list(of_question.values()) for name, of_question in values.items()}


def _metrics(reported: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The (metric, filter) pairs among lm-eval's results of a task, without standard errors."""
    pairs = [tuple(key.split(",", 1)) for key, value in reported.items() if "," in key and _is_number(value)]
    return [(metric, filter_name) for metric, filter_name in pairs if not metric.endswith("_stderr")]


def _interval(task: Any, metric: str, item_Q: Sequence[Any]) -> Interval:
    aggregate = task.aggregation().get(metric, mean)
    if aggregate is mean and all(_is_number(item) for item in item_Q):
        return _bounded([float(item) for item in item_Q])
    _at_least_two(item_Q)
    return jackknife_interval(item_Q, aggregate)


def _bounded(value_Q: Sequence[float]) -> Interval:
    """An interval within [0, 1] for shares, an unbounded one for any other mean."""
    if all(0 <= value <= 1 for value in value_Q):
        return share_interval(value_Q)
    _at_least_two(value_Q)
    return mean_interval(value_Q)


def _at_least_two(item_Q: Sequence[Any]) -> None:
    if len(item_Q) < 2:
        raise UsageError("an interval needs at least two questions", hint="raise `limit`")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) or (hasattr(value, "item") and getattr(value, "ndim", 1) == 0)
