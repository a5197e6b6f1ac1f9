"""Intervals of metrics that are no mean over questions: inside the metric's bounds, or none where the data cannot tell."""

from collections.abc import Callable, Sequence
from math import inf, isfinite, nan
from typing import Any

import numpy as np

from prerl_spec.statistics.intervals import Interval, jackknife_interval

BOOTSTRAP = "bootstrap"
RESAMPLES = 500
MIN_QUESTIONS = 100
"""Below this number of questions there is no interval: of 50 sentences, translated poorly, 78 % of the bootstrap intervals of
BLEU hold the truth, of 100 sentences 91 % (docs/metrics.md)."""
_SEED = 20_130
Bounds = tuple[float, float]
UNBOUNDED: Bounds = (-inf, inf)


def no_interval(value: float) -> Interval:
    """A value whose bounds are not known: `Interval(0.0, nan, nan)`."""
    return Interval(value, nan, nan)


def bounded_jackknife(
    item_Q: Sequence[Any], aggregate: Callable[[list[Any]], float], bounds: Bounds = UNBOUNDED
) -> Interval:
    """`jackknife_interval`, cut off at the metric's bounds; no interval for a single question, and for items that all give
    the same: no spread is no certainty."""
    if len(item_Q) < 2:
        return no_interval(float(aggregate(list(item_Q))))
    return within(jackknife_interval(item_Q, aggregate), bounds)


def within(found: Interval, bounds: Bounds) -> Interval:
    """The interval cut off at the bounds; none where it has no width or is not finite."""
    low, high = max(found.low, bounds[0]), min(found.high, bounds[1])
    return found._replace(low=low, high=high) if isfinite(high - low) and low < high else no_interval(found.value)


def bootstrap_interval(item_Q: Sequence[Any], aggregate: Callable[[list[Any]], float]) -> Interval:
    """The 2.5 % and 97.5 % points of an aggregate of one item per question over 500 resamples of the questions.

    Efron's percentile interval (1979): it lies inside whatever range the aggregate has, so also where that is not known.
    The draws are always the same: equal items give equal bounds. No interval below 100 questions, nor where all resamples
    give the same or one is not finite.
    """
    items, value = list(item_Q), float(aggregate(list(item_Q)))
    if len(items) < MIN_QUESTIONS:
        return no_interval(value)
    chosen_RQ = np.random.default_rng(_SEED).integers(0, len(items), (RESAMPLES, len(items)))
    drawn_R = np.array([float(aggregate([items[place] for place in row])) for row in chosen_RQ.tolist()])
    if not np.isfinite(drawn_R).all():
        return no_interval(value)
    low, high = np.quantile(drawn_R, [0.025, 0.975])
    return within(Interval(value, min(float(low), value), max(float(high), value)), UNBOUNDED)
