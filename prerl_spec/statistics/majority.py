"""maj@k: the chance that the most frequent answer of k responses is right, from how often each answer was given among n."""

from collections.abc import Sequence
from math import comb, exp, log, log1p

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Votes = Sequence[tuple[int, bool]]
"""Each different answer: how many responses gave it, and whether it is right."""


def maj_at_k(votes: Votes, num_samples: int, k: int) -> float:
    """The probability that the answer with most votes among k of n responses, drawn without replacement, is right.

    Responses that are in no vote (without an answer) are drawn as well and vote for nothing; where none of the k votes, the
    result is wrong. A tie of t answers counts for each of them as 1/t. Summed over the votes that a right answer gets:

        Σₐ P(a) Σₜ P(no other has more than a, t have a, k in all) / (t + 1)

    with every answer's votes Binomial(count, k/n) given that they sum to k, which is drawing without replacement. Exact up
    to rounding, nothing is sampled. For k = 1 it is the share of right responses. Raises ValueError for k outside 1..n, and
    for more votes than responses.
    """
    if not 1 <= k <= num_samples:
        raise ValueError(f"maj@{k} cannot be estimated from {num_samples} samples: k must lie in 1..{num_samples}")
    blanks = num_samples - sum(count for count, _ in votes)
    if blanks < 0 or any(count < 1 for count, _ in votes):
        raise ValueError(f"votes of {num_samples - blanks} of {num_samples} samples")
    if k == num_samples:
        return _of_all(votes)
    share = k / num_samples
    no_vote = _binomial(blanks, share, k)
    found = 0.0
    for place, (count, is_right) in enumerate(votes):
        if not is_right:
            continue
        others = [other for at, (other, _) in enumerate(votes) if at != place]
        own = _binomial(count, share, k)
        for most in range(1, min(count, k) + 1):
            of_others = _beaten_or_tied(others, share, most, k - most)
            found += float(own[most]) * float(of_others @ no_vote[k - most :: -1])
    return min(1.0, found / float(_binomial(num_samples, share, k)[k]))


def _of_all(votes: Votes) -> float:
    """Of all responses there is one draw: the share of right answers among the most frequent ones."""
    most = max((count for count, _ in votes), default=0)
    first = [is_right for count, is_right in votes if count == most]
    return sum(first) / len(first) if first else 0.0


def _beaten_or_tied(counts: Sequence[int], share: float, most: int, size: int) -> Array:
    """[s], s = 0..size: E[1 / (t + 1); they have s votes in all, none more than `most`], t of these answers having `most`."""
    by_tied = np.zeros((size // most + 1, size + 1))
    by_tied[0, 0] = 1.0
    for count in counts:
        chance = _binomial(count, share, most)
        after = np.zeros_like(by_tied)
        for votes, of_votes in enumerate(chance[: size + 1]):
            if votes < most:
                after[:, votes:] += of_votes * by_tied[:, : size + 1 - votes]
            else:
                after[1:, votes:] += of_votes * by_tied[:-1, : size + 1 - votes]
        by_tied = after
    return np.asarray((by_tied / np.arange(1, len(by_tied) + 1)[:, None]).sum(axis=0))


def _binomial(count: int, share: float, most: int) -> Array:
    """[j], j = 0..most: the chance of j successes in `count` draws; 0 above `count`."""
    # By logarithms: C(n, j) of more than a thousand responses is no float.
    chance = [
        exp(log(comb(count, j)) + j * log(share) + (count - j) * log1p(-share)) for j in range(min(count, most) + 1)
    ]
    return np.array([*chance, *[0.0] * (most - count)])
