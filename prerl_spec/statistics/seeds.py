"""What seeds say about a method: t over paired differences, one a seed; the detectable effect; Holm over several arms.

Questions say something about one checkpoint (`intervals`, `paired`), seeds about the method that made it.
"""

from collections.abc import Sequence
from math import sqrt
from statistics import fmean

import numpy as np
from scipy.special import nctdtr, stdtr, stdtrit

from prerl_spec.statistics.baselines import minus_mean
from prerl_spec.statistics.intervals import CONFIDENCE, Interval, t_quantile

ALPHA = 1.0 - CONFIDENCE
LARGEST_NONCENTRALITY = 1e4
"""In standard errors; the t quantile of two seeds at a tenth of a per cent is 636."""


def seed_interval(difference_S: Sequence[float]) -> Interval:
    """The mean of S paired differences, one a seed, with d̄ ± t(0.975, S−1) · s/√S: Student's interval; its unit is the seed.

    Differences without any spread, up to rounding, have no t. Equal ones that are not 0 are then a sign test's (`t_p_value`):
    fewer than six cannot exclude 0, and the interval is d̄ ± |d̄|; six or more give their value alone, as zeros do. Not clipped.
    Raises ValueError for fewer than two seeds: one has no spread.
    """
    _two_seeds(difference_S)
    mean, error = fmean(difference_S), _standard_error(difference_S)
    reach = t_quantile(len(difference_S) - 1) * error
    if not error and t_p_value(difference_S) >= ALPHA:
        reach = abs(mean)
    return Interval(mean, mean - reach, mean + reach)


def t_p_value(difference_S: Sequence[float]) -> float:
    """Two-sided p value of "the mean difference is 0": P(|t(S−1)| ≥ |d̄| √S / s).

    Without spread: 1 for zeros; for equal differences that are not 0, where t is infinite, the sign test's 2^(1−S): scores
    of few questions repeat by chance. Raises ValueError for fewer than two seeds.
    """
    _two_seeds(difference_S)
    mean, error, num_seeds = fmean(difference_S), _standard_error(difference_S), len(difference_S)
    if not error:
        return 2.0 ** (1 - num_seeds) if mean else 1.0
    return min(1.0, 2.0 * float(stdtr(num_seeds - 1, -abs(mean) / error)))


def holm(p_values: Sequence[float]) -> list[float]:
    """p values adjusted for their number, in the order given: p̃₍ᵢ₎ = max over j ≤ i of min(1, (m − j + 1) p₍ⱼ₎).

    Holm 1979. Of m arms against a baseline, a difference is claimed where its adjusted p value is below 0.05: the chance of any
    false claim then stays below 5 %, however the arms depend on each other. Raises ValueError for a value outside [0, 1].
    """
    if not all(0.0 <= p <= 1.0 for p in p_values):
        raise ValueError("p values lie in [0, 1]")
    adjusted, largest = [0.0] * len(p_values), 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def detectable_effect(sd: float, num_seeds: int, power: float = 0.8, num_comparisons: int = 1) -> float:
    """The smallest mean difference that a two-sided t test over S seeds detects with this probability.

    The δ at which P(T > t(1 − α/2m, S−1)) = power, T noncentral t with S−1 degrees of freedom and noncentrality δ√S/sd;
    `sd` is the standard deviation of paired differences between seeds, m `num_comparisons` (Holm's threshold for the first
    of m arms: the cautious end). A normal approximation would promise 2.80 sd/√S for any S; for three seeds it is 5.65.
    0 where sd is 0. The other tail of |T|, below 1e-6 from a power of one half on, is left out: nctdtr has no number for it.
    Raises ValueError for fewer than two seeds, a negative sd, or a power outside [½, 1).
    """
    if num_seeds < 2 or not 0.0 <= sd < float("inf") or not 0.5 <= power < 1.0 or num_comparisons < 1:
        raise ValueError(
            f"no detectable effect for sd {sd}, {num_seeds} seeds, power {power}, {num_comparisons} comparisons"
        )
    degrees = num_seeds - 1
    critical = float(stdtrit(degrees, 1.0 - ALPHA / num_comparisons / 2))
    low, high = 0.0, LARGEST_NONCENTRALITY
    while high - low > 1e-10 * high:
        middle = (low + high) / 2
        too_small = 1.0 - float(nctdtr(degrees, middle, critical)) < power
        low, high = (middle, high) if too_small else (low, middle)
    return high * sd / sqrt(num_seeds)


def _standard_error(difference_S: Sequence[float]) -> float:
    """s/√S, 0 where the differences from the mean are rounding errors."""
    centred_S = minus_mean(np.asarray(difference_S, dtype=np.float64))
    return float(np.sqrt(np.sum(centred_S**2) / (len(centred_S) - 1) / len(centred_S)))


def _two_seeds(difference_S: Sequence[float]) -> None:
    if len(difference_S) < 2:
        raise ValueError("an interval over seeds needs at least two: one seed has no spread")
