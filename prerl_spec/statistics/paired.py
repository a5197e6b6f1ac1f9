"""The difference of two checkpoints on the same questions: paired by question, so that their difficulty cancels."""

from collections.abc import Sequence
from statistics import fmean

import numpy as np

from prerl_spec.statistics.intervals import Interval
from prerl_spec.statistics.unseen import ROUNDING, difference_bounds

SMALLEST_TAIL = 1e-12
"""Below this a p value is not told apart from 0."""


def paired_interval(first_Q: Sequence[float], second_Q: Sequence[float], num_samples: int | None = None) -> Interval:
    """The mean difference second − first of Q questions' shares in [0, 1], with a 95 % interval clustered by question.

    The upper bound is d̄ + (t(0.975, Q−1) / 1.96) (q − d̄), q the 0.975 quantile of Σ w d over the differences and two that are
    added, w ~ Dirichlet with 1 for each question, 0.6 for min(1, A (1 + 2 max(γ, 0))) and 0.4 for −A; A is the largest |d|,
    γ the skewness; the lower bound mirrors it. With `num_samples` responses a question, known where the shares are c/k,
    the variance of a difference is at least what k responses leave to chance, mean of Σ p̂(1 − p̂) / (k − 1) over both arms: a
    few questions may agree by chance. docs/intervals.md says what the bounds cover.

    Bounds lie in [−1, 1]. Where all differences are equal to c, they are c − r(1 + c) and c + r(1 − c), r = 1 − 0.025^(1/Q).
    For a single question they are −1 and 1. Raises ValueError for no question, lists of different length, or a share outside
    [0, 1].
    """
    _require_shares(first_Q, second_Q)
    value = fmean(second - first for first, second in zip(first_Q, second_Q, strict=True))
    if len(first_Q) == 1:
        return Interval(value, -1.0, 1.0)
    low, high = difference_bounds(np.asarray(first_Q, float), np.asarray(second_Q, float), num_samples)
    return Interval(value, min(float(low), value), max(float(high), value))


def paired_p_value(first_Q: Sequence[float], second_Q: Sequence[float], num_samples: int | None = None) -> float:
    """Two-sided p value of "the mean difference is 0": the largest α at which `paired_interval` with 1 − α would hold 0.

    It is below 0.05 exactly where the interval excludes 0, and Holm's smaller levels are those of the same construction;
    Student's p is that of another interval. 1 for a single question. Raises ValueError as `paired_interval`.
    """
    _require_shares(first_Q, second_Q)
    first, second = np.asarray(first_Q, float), np.asarray(second_Q, float)
    if len(first_Q) == 1 or abs(float((second - first).mean())) < ROUNDING:
        return 1.0
    low, high = SMALLEST_TAIL, 0.5
    while high - low > 1e-6 * high:
        tail = (low * high) ** 0.5
        least, most = difference_bounds(first, second, num_samples, tail)
        low, high = (low, tail) if least > 0.0 or most < 0.0 else (tail, high)
    return 2.0 * high


def _require_shares(first_Q: Sequence[float], second_Q: Sequence[float]) -> None:
    shares = [share for pair in zip(first_Q, second_Q, strict=True) for share in pair]
    if not shares or not all(0.0 <= share <= 1.0 for share in shares):
        raise ValueError("a paired interval needs at least one question, and shares in [0, 1]")
