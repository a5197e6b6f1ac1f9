"""The interval of each of lm-eval's metrics: by question, inside the metric's range, and none where the data cannot tell."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from math import inf, isfinite
from typing import Any

from lm_eval.api.metrics import mean, nanmean

from prerl_spec.evaluation.harness.corpus_metrics import OF_CORPORA, corpus_interval
from prerl_spec.evaluation.harness.question_values import is_number
from prerl_spec.statistics.bounded import (
    BOOTSTRAP,
    UNBOUNDED,
    Bounds,
    bounded_jackknife,
    no_interval,
    within,
)
from prerl_spec.statistics.intervals import JACKKNIFE, SHARES, STUDENT, Interval, mean_interval, share_interval

RANGES: Mapping[str, Bounds] = {
    "acc_all": (0.0, 1.0),
    "bits_per_byte": (0.0, inf),
    "brier_score": (0.0, 2.0),
    "f1_score": (0.0, 1.0),
    "matthews_corrcoef": (-1.0, 1.0),
    "perplexity": (0.0, inf),
    "weighted_perplexity": (0.0, inf),
}
"""lm-eval's aggregates by the names of their functions."""
_OF_A_SHARE = re.compile(
    r"(^|_)(acc|accuracy|bleu|chrf|em|exact|exact_match|f1|precision|recall|rouge)([0-9L_]|$)", re.I
)
_PERCENT = 100.0


def interval_of(metric: str, aggregate: Callable[[list[Any]], float], item_Q: Sequence[Any]) -> tuple[Interval, str]:
    """The interval of an aggregate of one item per question, and its construction.

    A mean of values in [0, 1], or of a metric in per cent: that of shares. Another mean: Student's t. BLEU, chrF and TER: a
    bootstrap over questions, since of a few sentences without a common phrase a jackknife makes 0 ± 0. Any other
    aggregate: the jackknife, cut off at its range.
    """
    if is_mean(aggregate, item_Q):
        return mean_of(metric, [float(item) for item in item_Q])
    name, value = name_of(aggregate), float(aggregate(list(item_Q)))
    if not isfinite(value):
        return no_interval(value), JACKKNIFE
    if name in OF_CORPORA:
        return corpus_interval(name, item_Q, value), BOOTSTRAP
    own = RANGES.get(name) or _range_of_share(metric, [value])
    return bounded_jackknife(item_Q, aggregate, own), JACKKNIFE


def mean_of(metric: str, value_Q: Sequence[float]) -> tuple[Interval, str]:
    """The interval of a mean of one value per question, and its construction."""
    low, high = _range(metric, value_Q)
    if (low, high) == UNBOUNDED:
        if len(value_Q) < 2:
            return no_interval(value_Q[0]), STUDENT
        return within(mean_interval(value_Q), UNBOUNDED), STUDENT
    found = share_interval([value / high for value in value_Q])
    return Interval(*(high * bound for bound in found)), SHARES


def without_overflow(aggregate: Callable[[list[Any]], float]) -> Callable[[list[Any]], float]:
    """The aggregate, whose value is infinite where a float cannot hold it: a perplexity above 1.8e308."""
    if aggregate in (mean, nanmean):
        return aggregate

    @wraps(aggregate)
    def found(items: list[Any]) -> float:
        try:
            return aggregate(items)
        except OverflowError:
            return inf

    return found


def is_mean(aggregate: Callable[[list[Any]], float], item_Q: Sequence[Any]) -> bool:
    """Whether the score is the plain mean of its questions' items."""
    return aggregate in (mean, nanmean) and all(is_number(item) and item == item for item in item_Q)


def name_of(aggregate: Callable[[list[Any]], float]) -> str:
    return getattr(aggregate, "__name__", type(aggregate).__name__)


def _range(metric: str, value_Q: Sequence[float]) -> Bounds:
    """[0, 1] where all values lie there, whatever the metric; else that of a share in per cent."""
    return (0.0, 1.0) if all(0.0 <= value <= 1.0 for value in value_Q) else _range_of_share(metric, value_Q)


def _range_of_share(metric: str, value_Q: Sequence[float]) -> Bounds:
    """[0, 1] or [0, 100], where all values lie there and the metric's name is that of a share."""
    if _OF_A_SHARE.search(metric) and min(value_Q) >= 0.0:
        return next(((0.0, most) for most in (1.0, _PERCENT) if max(value_Q) <= most), UNBOUNDED)
    return UNBOUNDED
