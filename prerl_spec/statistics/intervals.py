"""95 % confidence intervals clustered by question: the question, not the response, is the sampling unit."""

from collections.abc import Callable, Sequence
from math import isnan, sqrt
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from scipy.special import stdtrit

from prerl_spec.statistics.unseen import share_bounds

CONFIDENCE = 0.95
MAX_BLOCKS = 100
SHARES, STUDENT, JACKKNIFE = "shares", "t", "jackknife"
"""The constructions of the three functions below, as a score names them."""


class Interval(NamedTuple):
    """An estimate and the bounds of its 95 % interval: `Interval(0.30, 0.21, 0.39)`."""

    value: float
    low: float
    high: float


def share_interval(share_Q: Sequence[float]) -> Interval:
    """The mean over Q questions of per-question shares in [0, 1], with an interval clustered by question.

    The upper bound is the 0.975 quantile of Σ w x over the questions and two that are added, w ~ Dirichlet with 1 for each
    question, ¾ for one at min(1, 6 × the largest share) and ¼ for one at the smallest; the lower bound mirrors it: Rubin's
    Bayesian bootstrap (1981) with questions that were not drawn, its quantile computed from three moments (`unseen`). A
    question counts once, however many responses it has: responses to one question are not independent (30 questions × 16
    samples as 480 independent ones cover about half of the time instead of 95 %; Miller 2024, arXiv:2411.00640, 2.2). For
    shares of 0 and 1, s of them 1, the bounds are quantiles of Beta(s + ¼, Q − s + ¾) and Beta(s + ¾, Q − s + ¼), midway
    between Jeffreys' and the exact ones. docs/intervals.md says what they cover.

    Where all shares are equal to c, the bounds are c − rc and c + r(1 − c), r = 1 − 0.025^(1/Q): for 0 or 1 the exact binomial
    ones for Q of Q. For a single question the interval is [0, 1]. Raises ValueError for no question or a share outside [0, 1].
    """
    if not share_Q or not all(0.0 <= share <= 1.0 for share in share_Q):
        raise ValueError("an interval needs at least one question, and shares in [0, 1]")
    mean = fmean(share_Q)
    if len(share_Q) == 1:
        return Interval(mean, 0.0, 1.0)
    low, high = share_bounds(np.asarray(share_Q, dtype=np.float64))
    # fmean is exact, the array's mean rounded: neither may cut the other off.
    return Interval(mean, min(float(low), mean), max(float(high), mean))


def mean_interval(value_Q: Sequence[float]) -> Interval:
    """mean ± t(0.975, Q−1) · s/√Q of one value per question, not clipped. Raises ValueError for fewer than two."""
    _two_questions(value_Q)
    mean = fmean(value_Q)
    squares = sum((value - mean) ** 2 for value in value_Q)
    reach = t_quantile(len(value_Q) - 1) * sqrt(squares / (len(value_Q) - 1) / len(value_Q))
    return Interval(mean, mean - reach, mean + reach)


def jackknife_interval(item_Q: Sequence[Any], aggregate: Callable[[list[Any]], float]) -> Interval:
    """Jackknife interval of an aggregate of one item per question (a perplexity, an F1): value ± t(0.975, g−1) · s_jack.

    s_jack² = (g−1)/g · Σ (θ₍ᵢ₎ − θ̄)², θ₍ᵢ₎ the aggregate without block i of g ≤ 100 blocks of questions (Efron and Stein
    1981); for a mean over blocks of one it is the ordinary standard error. Deterministic, unlike a bootstrap: equal
    items give equal bounds. Raises ValueError for fewer than two questions.
    """
    _two_questions(item_Q)
    items, num_blocks = list(item_Q), min(len(item_Q), MAX_BLOCKS)
    value = float(aggregate(items))
    without = [
        float(aggregate([item for place, item in enumerate(items) if place % num_blocks != block]))
        for block in range(num_blocks)
    ]
    centre = fmean(without)
    squares = sum((theta - centre) ** 2 for theta in without)
    reach = t_quantile(num_blocks - 1) * sqrt((num_blocks - 1) / num_blocks * squares)
    return Interval(value, value - reach, value + reach)


def t_quantile(degrees_of_freedom: int) -> float:
    """The 0.975 quantile of Student's t distribution: half-width of a 95 % interval in standard errors."""
    return float(stdtrit(degrees_of_freedom, 1.0 - (1.0 - CONFIDENCE) / 2))


def bounds_text(low: float, high: float, digits: int = 4) -> str:
    """ "[0.2100, 0.3900]"; a dash where there is no interval."""
    return "-" if isnan(low) or isnan(high) else f"[{low:.{digits}f}, {high:.{digits}f}]"


def _two_questions(item_Q: Sequence[Any]) -> None:
    if len(item_Q) < 2:
        raise ValueError("an interval needs at least two questions")
