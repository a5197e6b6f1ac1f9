"""Seeds as repeats on the same questions: one table of differences, three units of inference."""

from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from prerl_spec.statistics.intervals import CONFIDENCE, Interval
from prerl_spec.statistics.paired import paired_interval
from prerl_spec.statistics.seeds import seed_interval

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TwoLevel:
    """One mean difference, three intervals: each says what would be drawn anew.

    `seeds`: other seeds, these questions: a claim about the method on this benchmark. `questions`: other questions, these
    seeds' checkpoints (their mean difference on each question). `both`: other seeds and other questions.
    """

    seeds: Interval
    questions: Interval
    both: Interval


def two_level(first_SQ: Array, second_SQ: Array, num_samples: int | None = None) -> TwoLevel:
    """[S, Q] shares of two arms, paired by seed and by question -> the difference second − first, by unit of inference.

    `both` is `crossed_interval`, never narrower than either alone. Bounds lie in [−1, 1]. `num_samples`: responses a
    question and seed, where the shares are c/k (`paired_interval`). Raises ValueError for fewer than two seeds or questions, or
    tables of different shape.
    """
    if first_SQ.shape != second_SQ.shape or first_SQ.ndim != 2 or min(first_SQ.shape) < 2:
        raise ValueError("two tables of the same shape, with at least two seeds and two questions")
    difference_SQ = second_SQ - first_SQ
    seeds = seed_interval(difference_SQ.mean(axis=1).tolist())
    of_seeds = None if num_samples is None else num_samples * len(first_SQ)
    questions = paired_interval(first_SQ.mean(axis=0).tolist(), second_SQ.mean(axis=0).tolist(), of_seeds)
    both = crossed_interval(difference_SQ)
    low, high = min(both.low, seeds.low, questions.low), max(both.high, seeds.high, questions.high)
    return TwoLevel(seeds, questions, Interval(both.value, max(-1.0, low), min(1.0, high)))


def crossed_interval(difference_SQ: Array) -> Interval:
    """The mean of a table [S, Q] whose rows and columns are both drawn: crossed random effects, not clipped.

    Var(d̄) = (MS_S + MS_Q − MS_SQ) / SQ, at least either alone, with the mean squares of the two-way table without replicates;
    t with Satterthwaite's degrees of freedom, (MS_S + MS_Q − MS_SQ)² / (MS_S²/(S−1) + MS_Q²/(Q−1) + MS_SQ²/((S−1)(Q−1))).
    Clark 1973, F′ of one contrast; Satterthwaite 1946. A table without spread gives its value alone.
    """
    num_seeds, num_questions = difference_SQ.shape
    mean = float(difference_SQ.mean())
    of_seed_S1 = difference_SQ.mean(axis=1, keepdims=True) - mean
    of_question_Q = difference_SQ.mean(axis=0) - mean
    rest_SQ = difference_SQ - mean - of_seed_S1 - of_question_Q
    degrees = np.array([num_seeds - 1, num_questions - 1, (num_seeds - 1) * (num_questions - 1)])
    squares = np.array(
        [num_questions * np.sum(of_seed_S1**2), num_seeds * np.sum(of_question_Q**2), np.sum(rest_SQ**2)]
    )
    by_seed, by_question, by_both = squares / degrees
    combined = max(by_seed + by_question - by_both, by_seed, by_question)
    if not combined:
        return Interval(mean, mean, mean)
    freedom = combined**2 / float(np.sum((squares / degrees) ** 2 / degrees))
    reach = float(stdtrit(freedom, 1.0 - (1.0 - CONFIDENCE) / 2)) * sqrt(combined / difference_SQ.size)
    return Interval(mean, mean - reach, mean + reach)
