"""Bounds of a mean over questions that allow for questions not drawn: few right answers are little evidence about the next.

A t interval takes the spread that it saw for the truth. Near 0 and 1 most of the mean is owed to rare questions, which a small
benchmark may lack: its mean and its spread are then too small together. Everything works on the last axis: one call bounds
many benchmarks.
"""

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv, ndtri, stdtrit

Array = npt.NDArray[np.float64]
TAIL = 0.025
OWN, OTHER = 0.75, 0.25
"""One question is added for a bound of shares: three quarters of it beyond, a quarter at the sample's other end. For right and
wrong alone that is midway between Jeffreys' prior (½ and ½) and Clopper and Pearson's exact interval (1 and 0)."""
REACH = 6.0
"""A question not drawn is right at most six times as often as the best one seen, and wrong at most six times as the worst."""
ROUNDING = 1e-12
"""Values nearer to each other than this are equal: shares are counts over a few thousand responses at most."""
SKEWNESS = 2.0
"""How far a skewed sample of differences moves the question added on the side of its tail, in largest differences."""
NEAR, FAR = 0.6, 0.4
"""The weights of the questions added for a bound of differences, on its own side and on the other. With one half each, equal
checkpoints of which 8 of 500 questions tell anything would differ at 5 % in 7.1 % of cases; with these in 4.5 %."""


def share_bounds(share_Q: Array) -> tuple[Array, Array]:
    """[..., Q] shares in [0, 1], Q ≥ 2 -> the 95 % bounds of their mean, [...] each; `share_interval` has the formula."""
    least, most = share_Q.min(axis=-1), share_Q.max(axis=-1)
    low = _limit(share_Q, [most, np.maximum(0.0, 1.0 - REACH * (1.0 - least))], [OTHER, OWN], TAIL)
    high = _limit(share_Q, [np.minimum(1.0, REACH * most), least], [OWN, OTHER], 1.0 - TAIL)
    return _with_constant_ones(share_Q, low, high, 0.0)


def difference_bounds(
    first_Q: Array, second_Q: Array, num_samples: int | None, tail: float = TAIL
) -> tuple[Array, Array]:
    """[..., Q] shares of two arms, Q ≥ 2 -> the bounds of the mean difference; `paired_interval` has the formula.

    `tail` is what either bound leaves out: 0.025 for those of a 95 % interval.
    """
    difference_Q = second_Q - first_Q
    num_questions = difference_Q.shape[-1]
    mean, largest = difference_Q.mean(axis=-1), np.abs(difference_Q).max(axis=-1)
    skewness, floor = _skewness(difference_Q), _variance_of_responses(first_Q, second_Q, num_samples)
    above, below = (
        np.minimum(1.0, largest * (1.0 + SKEWNESS * np.maximum(side, 0.0))) for side in (skewness, -skewness)
    )
    low = _limit(difference_Q, [largest, -below], [FAR, NEAR], tail, floor)
    high = _limit(difference_Q, [above, -largest], [NEAR, FAR], 1.0 - tail, floor)
    # The Beta quantile takes the spread as known; Student's factor is what not knowing it costs.
    student = stdtrit(num_questions - 1, 1.0 - tail) / ndtri(1.0 - tail)
    low, high = np.maximum(-1.0, mean + student * (low - mean)), np.minimum(1.0, mean + student * (high - mean))
    return _with_constant_ones(difference_Q, low, high, -1.0, tail)


def _limit(
    value_Q: Array, added: list[Array], weights: list[float], quantile: float, floor: Array | float = 0.0
) -> Array:
    """A quantile of Σ w x, w ~ Dirichlet(1 per question, `weights` for those added), by its first three moments.

    Those are the moments of L + (U − L) · Beta(Nπ, N(1 − π)), N the sum of weights, where U and L with probabilities π and
    1 − π have the mean, variance and skewness γ of the weighted sample: U, L = mean + s (γ ± √(γ² + 4)) / 2. For right and
    wrong alone U and L are 1 and 0 and the Beta is exact. `floor` is the least variance of a value.
    """
    total = value_Q.shape[-1] + sum(weights)
    points = list(zip(added, weights, strict=True))
    mean = (value_Q.sum(axis=-1) + sum(weight * place for place, weight in points)) / total
    centred_Q = value_Q - mean[..., None]

    def moment(power: int) -> Array:
        of_added = sum(weight * (place - mean) ** power for place, weight in points)
        return np.asarray(((centred_Q**power).sum(axis=-1) + of_added) / total)

    variance = np.maximum(moment(2), floor)
    deviation = np.sqrt(np.maximum(variance, ROUNDING**2))
    skewness = moment(3) / deviation**3
    root = np.sqrt(skewness**2 + 4.0)
    lower, upper = mean + deviation * (skewness - root) / 2, mean + deviation * (skewness + root) / 2
    share = (mean - lower) / (upper - lower)
    return np.asarray(lower + (upper - lower) * betaincinv(total * share, total * (1.0 - share), quantile))


def _with_constant_ones(
    value_Q: Array, low: Array, high: Array, least: float, tail: float = TAIL
) -> tuple[Array, Array]:
    """The bounds, holding the mean; where all values are equal there is no spread, and another value has at most the
    probability 1 − 0.025^(1/Q) that n of n have in the exact binomial interval: it may lie at either end of the range."""
    mean, unseen = value_Q.mean(axis=-1), 1.0 - tail ** (1 / value_Q.shape[-1])
    constant = value_Q.max(axis=-1) - value_Q.min(axis=-1) < ROUNDING
    low = np.where(constant, mean - unseen * (mean - least), np.minimum(low, mean))
    high = np.where(constant, mean + unseen * (1.0 - mean), np.maximum(high, mean))
    return np.clip(low, least, 1.0), np.clip(high, least, 1.0)


def _skewness(value_Q: Array) -> Array:
    """γ = m₃ / m₂^1.5; 0 for values without spread."""
    centred_Q = value_Q - value_Q.mean(axis=-1, keepdims=True)
    variance = np.maximum((centred_Q**2).mean(axis=-1), ROUNDING**2)
    return np.asarray((centred_Q**3).mean(axis=-1) / variance**1.5)


def _variance_of_responses(first_Q: Array, second_Q: Array, num_samples: int | None) -> Array:
    """What k responses a question leave to chance in a difference, Σ p̂(1 − p̂) / (k − 1) of both arms, mean over questions."""
    if num_samples is None or num_samples < 2:
        return np.zeros(first_Q.shape[:-1])
    of_arms = (first_Q * (1.0 - first_Q) + second_Q * (1.0 - second_Q)) / (num_samples - 1)
    return np.asarray(of_arms.mean(axis=-1))
