"""95 % confidence intervals clustered by question: the question, not the response, is the sampling unit."""

from collections.abc import Callable, Sequence
from math import sqrt
from statistics import fmean
from typing import Any, NamedTuple

from scipy.special import stdtrit

CONFIDENCE = 0.95
MAX_BLOCKS = 100


class Interval(NamedTuple):
    """An estimate and the bounds of its 95 % interval: `Interval(0.30, 0.21, 0.39)`."""

    value: float
    low: float
    high: float


def share_interval(share_Q: Sequence[float]) -> Interval:
    """The mean over Q questions of per-question shares in [0, 1], with an interval clustered by question.

    mean ± t(0.975, Q−1) · s/√Q, clipped to [0, 1]; s is the standard deviation between questions, for any
    number of responses per question: responses to one question are not independent (treating 30 questions × 16 samples
    as 480 independent ones covers about half of the time instead of 95 %). Miller 2024 (arXiv:2411.00640), section 2.2,
    with the t quantile for few questions.

    Where all shares are 0, or all 1, s is 0; the bounds are then the exact binomial ones for Q of Q questions,
    1 − 0.025^(1/Q) away. For a single question the interval is [0, 1]. Raises ValueError for no question or a share
    outside [0, 1].
    """
    if not share_Q or not all(0.0 <= share <= 1.0 for share in share_Q):
        raise ValueError("an interval needs at least one question, and shares in [0, 1]")
    num_questions, mean = len(share_Q), fmean(share_Q)
    if len(set(share_Q)) == 1 and share_Q[0] in (0.0, 1.0):
        reach = 1.0 - ((1.0 - CONFIDENCE) / 2) ** (1 / num_questions)
        return Interval(mean, mean - reach if mean else 0.0, 1.0 if mean else reach)
    if num_questions == 1:
        return Interval(mean, 0.0, 1.0)
    _, low, high = mean_interval(share_Q)
    return Interval(mean, max(0.0, low), min(1.0, high))


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


def _two_questions(item_Q: Sequence[Any]) -> None:
    if len(item_Q) < 2:
        raise ValueError("an interval needs at least two questions")
