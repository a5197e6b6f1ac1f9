"""How little two equal checkpoints' differences of pass@k can be covered, by whatever interval covers 93 % of all such pairs.

So for `same` and for `redrawn` pairs: each question differs with the same probability, up as often as down, so the numbers u
and v of differences up and down say all. Of an interval it is asked that it hold 0 in 93 % of equal checkpoints' benchmarks,
however likely a question is to differ; that it treat both arms alike; and that what excludes 0 for (u, v) do so for more
differences up and for fewer down: more of the same evidence. Then (3, 0) can't exclude 0, nor (4, 1), since with them all of
(u ≥ 3, 0) or (u ≥ 4, v ≤ 1) would, and where these are likeliest, that is more than 7 %.
"""

from functools import cache

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

Array = npt.NDArray[np.float64]
ALLOWED = 0.07
LIKELY = np.arange(1, 200) / 200
"""How likely a question is to differ: where the most that a set of outcomes excludes is looked for."""


def least_coverage(questions: int, differing: float) -> float:
    """The least share of benchmarks in which 0 is covered, where a question differs with the probability `differing`.

    All outcomes are excluded that may be by themselves; together they may be too many, so that the least lies above.
    """
    return 1.0 - float(_share(questions, np.array([differing]), _excluded(questions))[0])


@cache
def _excluded(questions: int) -> Array:
    """For 0 to Q differences: the most that may be excluded."""
    excluded_M = np.zeros(questions + 1)
    for down in range(questions // 2):
        up = down + 1
        while up + down <= questions and _share(questions, LIKELY, at_least(questions, up, down)).max() > ALLOWED:
            up += 1
        excluded_M += at_least(questions, up, down) - (at_least(questions, up, down - 1) if down else 0.0)
    return excluded_M


def at_least(questions: int, up: int, down: int) -> Array:
    """For 0 to Q differences: the probability of at least `up` one way and at most `down` the other, either way round."""
    differing_M = np.arange(questions + 1)
    fewest_M = np.minimum(down, differing_M - up)
    return np.asarray(2.0 * binom.cdf(fewest_M, differing_M, 0.5))


def _share(questions: int, differing_P: Array, excluded_M: Array) -> Array:
    likely_PM = binom.pmf(np.arange(questions + 1)[None], questions, differing_P[:, None])
    return np.asarray(likely_PM @ excluded_M)
