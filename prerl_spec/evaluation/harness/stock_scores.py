"""Scores of tasks with their own metrics: lm-eval's value, with an interval from its per-question values."""

from collections.abc import Mapping, Sequence
from typing import Any

from lm_eval.api.metrics import mean

from prerl_spec.errors import UsageError
from prerl_spec.evaluation.harness.question_values import Logged, is_number, value_results
from prerl_spec.evaluation.scores.question_results import MEAN
from prerl_spec.evaluation.scores.scored import Scored, judged
from prerl_spec.evaluation.scores.scores import Identity, score
from prerl_spec.registry.kinds.evaluator import EvaluationSite
from prerl_spec.statistics.intervals import Interval, jackknife_interval, mean_interval, share_interval
from prerl_spec.statistics.pass_at_k import pass_at_k
from prerl_spec.types import Draw


def reported_scores(
    site: EvaluationSite,
    what: Identity,
    draw: Draw,
    task: Any,
    reported: Mapping[str, Any],
    samples: Logged,
) -> Scored:
    """One score per metric and filter, named as in lm-eval ("exact_match,strict-match"), with lm-eval's value."""
    scores, made_by, value_Q = [], dict[str, str](), dict[str, dict[int, Any]]()
    for metric, filter_name in _metrics(reported):
        name = f"{metric},{filter_name}"
        of_filter = [s for s in samples if s["filter"] == filter_name and metric in s]
        item_Q = [s[metric] for s in of_filter]
        interval = _interval(task, metric, item_Q)
        interval = interval._replace(value=float(reported[name]))
        scores.append(score(site, what, draw, name, interval, len(item_Q)))
        made_by[name] = MEAN if _is_mean(task, metric, item_Q) else _aggregate(task, metric).__name__
        value_Q[name] = {s["doc_id"]: s[metric] for s in of_filter}
    return Scored(scores, made_by, value_results(samples, value_Q))


def repeated_scores(site: EvaluationSite, what: Identity, draw: Draw, task: Any, samples: Logged) -> Scored:
    """avg@k (and pass@k for 0/1 metrics) of a task's own metrics over k responses per question.

    The task's filters and metrics see one response at a time, exactly as in k evaluations with one response each.
    Raises UsageError if no metric of the task is a plain mean over questions.
    """
    scores, k, value_Q = [], draw.samples, dict[str, dict[int, Any]]()
    for (metric, filter_name), by_row in _values_of_each_repeat(task, draw.samples).items():
        of_question = list(by_row.values())
        if task.aggregation().get(metric) is not mean or not all(is_number(v) for vs in of_question for v in vs):
            continue
        means = [mean(values) for values in of_question]
        name = f"{metric},{filter_name}"
        scores.append(score(site, what, draw, f"avg@{k},{name}", _bounded(means), len(means)))
        value_Q[f"avg@{k},{name}"] = dict(zip(by_row, means, strict=True))
        if all(value in (0, 1) for values in of_question for value in values):
            passed = [pass_at_k(int(sum(values)), k, k) for values in of_question]
            scores.append(score(site, what, draw, f"pass@{k},{name}", share_interval(passed), len(passed)))
            value_Q[f"pass@{k},{name}"] = dict(zip(by_row, passed, strict=True))
    if not scores:
        raise UsageError(
            f"samples = {k}: no metric of `{what.task}` is a mean over questions, so avg@{k} is undefined",
            hint="move it to a separate evaluator with samples = 1",
        )
    return judged(scores, value_results(samples, value_Q))


def _values_of_each_repeat(task: Any, num_repeats: int) -> dict[tuple[str, str], dict[int, list[Any]]]:
    """(metric, filter) -> the question's row -> its values [response]."""
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
    return values


def _metrics(reported: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The (metric, filter) pairs among lm-eval's results of a task, without standard errors."""
    pairs = [tuple(key.split(",", 1)) for key, value in reported.items() if "," in key and is_number(value)]
    return [(metric, filter_name) for metric, filter_name in pairs if not metric.endswith("_stderr")]


def _interval(task: Any, metric: str, item_Q: Sequence[Any]) -> Interval:
    if _is_mean(task, metric, item_Q):
        return _bounded([float(item) for item in item_Q])
    _at_least_two(item_Q)
    return jackknife_interval(item_Q, _aggregate(task, metric))


def _is_mean(task: Any, metric: str, item_Q: Sequence[Any]) -> bool:
    return _aggregate(task, metric) is mean and all(is_number(item) for item in item_Q)


def _aggregate(task: Any, metric: str) -> Any:
    """lm-eval's function from the questions' items to the metric."""
    return task.aggregation().get(metric, mean)


def _bounded(value_Q: Sequence[float]) -> Interval:
    """An interval within [0, 1] for shares, an unbounded one for any other mean."""
    if all(0 <= value <= 1 for value in value_Q):
        return share_interval(value_Q)
    _at_least_two(value_Q)
    return mean_interval(value_Q)


def _at_least_two(item_Q: Sequence[Any]) -> None:
    if len(item_Q) < 2:
        raise UsageError("an interval needs at least two questions", hint="raise `limit`")
