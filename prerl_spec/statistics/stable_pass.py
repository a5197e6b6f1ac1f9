"""G-Pass@k: the chance that most of k responses are right, from the number of right ones among n."""

from fractions import Fraction
from math import ceil, comb

from prerl_spec.statistics.pass_at_k import pass_at_k

TAU = 0.5
"""The share of k that a score's G-Pass@k asks for; mG-Pass@k averages over the shares above it."""


def g_pass_at_k(num_right: int, num_samples: int, k: int, tau: float = TAU) -> float:
    """Unbiased estimate of the probability that at least ⌈τk⌉ of k responses are right: Σⱼ C(c, j) C(n−c, k−j) / C(n, k).

    j runs from max(⌈τk⌉, 1) to c. Liu et al. 2024 (arXiv:2412.13147); exact to the last bit. τ → 0 is pass@k, τ = 1
    asks for all k. Raises ValueError for k > n, and for τ outside [0, 1].
    """
    if not 0.0 <= tau <= 1.0:
        raise ValueError(f"tau = {tau:g} is no share")
    # τ = 0.3 as a binary fraction is a little above: ⌈10 τ⌉ of its exact value would be 4.
    least = max(1, ceil(Fraction(str(tau)) * k))
    pass_at_k(num_right, num_samples, k)
    ways = sum(comb(num_right, j) * comb(num_samples - num_right, k - j) for j in range(least, min(num_right, k) + 1))
    return float(Fraction(ways, comb(num_samples, k)))


def mean_g_pass_at_k(num_right: int, num_samples: int, k: int) -> float:
    """mG-Pass@k: G-Pass@k averaged over thresholds above one half, (2/k) Σᵢ G-Pass@k with τ = i/k, i from ⌈k/2⌉ + 1 to k.

    Of the same paper. It is 1 for right responses alone where k is even; for an odd k the sum has (k−1)/2 terms and
    stays below 1, and for k = 1 none. Raises ValueError for an odd k, and for k > n.
    """
    if k % 2:
        raise ValueError(f"mG-Pass@{k}: its sum reaches 1 for an even k only")
    pass_at_k(num_right, num_samples, k)
    # At least i of k are right, summed over i: each j counts once for every threshold that it passes.
    ways = sum(
        (j - k // 2) * comb(num_right, j) * comb(num_samples - num_right, k - j)
        for j in range(k // 2 + 1, min(num_right, k) + 1)
    )
    return float(Fraction(2 * ways, k * comb(num_samples, k)))
