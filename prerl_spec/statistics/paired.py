"""The difference of two checkpoints on the same questions: paired by question, so that their difficulty cancels."""

from collections.abc import Sequence

from prerl_spec.statistics.intervals import Interval, mean_interval


def paired_interval(first_Q: Sequence[float], second_Q: Sequence[float]) -> Interval:
    """The mean difference second − first of Q questions' shares in [0, 1], with a 95 % interval clustered by question.

    Bounds lie in [−1, 1]. For a single question they are −1 and 1. Raises ValueError for no question, lists of different
    length, or a share outside [0, 1].
    """
    if not first_Q or not all(0.0 <= share <= 1.0 for share in (*first_Q, *second_Q)):
        raise ValueError("a paired interval needs at least one question, and shares in [0, 1]")
    difference_Q = [second - first for first, second in zip(first_Q, second_Q, strict=True)]
    if len(difference_Q) == 1:
        return Interval(difference_Q[0], -1.0, 1.0)
    value, low, high = mean_interval(difference_Q)
    return Interval(value, max(-1.0, low), min(1.0, high))
