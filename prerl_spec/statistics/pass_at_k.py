"""avg@k and pass@k from the number of right answers among n independent responses to a question."""

from fractions import Fraction
from math import comb


def avg_at_k(num_right: int, num_samples: int) -> float:
    """Share of right responses to one question, c/n; its mean over questions is avg@n.

    Raises ValueError where c is not in 0..n or n < 1.
    """
    _check(num_right, num_samples)
    return num_right / num_samples


def pass_at_k(num_right: int, num_samples: int, k: int) -> float:
    """Unbiased estimate of the probability that at least one of k responses is right: 1 − C(n−c, k) / C(n, k).

    Chen et al. 2021 (arXiv:2107.03374), eq. 1; computed with integers, hence exact to the last bit for every n. With
    k = n it is 1 where any response is right, else 0; with k = 1 it is c/n. Raises ValueError for k > n: the estimator
    does not exist there.
    """
    _check(num_right, num_samples)
    if not 1 <= k <= num_samples:
        raise ValueError(f"pass@{k} cannot be estimated from {num_samples} samples: k must lie in 1..{num_samples}")
    return float(1 - Fraction(comb(num_samples - num_right, k), comb(num_samples, k)))


def _check(num_right: int, num_samples: int) -> None:
    if num_samples < 1 or not 0 <= num_right <= num_samples:
        raise ValueError(f"{num_right} right of {num_samples} samples")
