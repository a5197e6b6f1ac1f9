"""Group-relative advantages. Arrays over the S samples of an update; a NaN reward means not scored.

With fewer than two scored samples in a group, or equal rewards, the advantage is exactly 0.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from prerl_spec.sdk import Array, Index

STD_EPS = 1e-6
"""Added to the group's standard deviation, as in the authors' code and in verl."""


def group_mean(reward_S: Array, group_S: Index) -> Array:
    """[S] A_i = r_i − mean_group(r): the pre-train space advantage of arXiv:2604.14142; 0 for unscored samples."""
    advantage_S = np.zeros_like(reward_S)
    for scored in _groups(group_S, ~np.isnan(reward_S)):
        advantage_S[scored] = _centred(reward_S[scored])
    return advantage_S


def group_std(reward_S: Array, group_S: Index) -> Array:
    """[S] A_i = (r_i − mean_group(r)) / (std_group(r) + 1e-6), unbiased std: GRPO, arXiv:2402.03300; 0 if unscored."""
    advantage_S = np.zeros_like(reward_S)
    for scored in _groups(group_S, ~np.isnan(reward_S)):
        if len(scored) > 1:
            reward_s = reward_S[scored]
            advantage_S[scored] = _centred(reward_s) / (np.std(reward_s, ddof=1) + STD_EPS)
    return advantage_S


def minus_one(reward_S: Array) -> Array:
    """[S] A_i = r_i − 1: −1 for every wrong sample, all-wrong groups included (arXiv:2506.01347); 0 if unscored."""
    return np.where(np.isnan(reward_S), 0.0, reward_S - 1.0)


def centre(advantage_S: Array, trained_S: npt.NDArray[np.bool_], group_S: Index) -> Array:
    """[S] A'_i = A_i − mean of A over the group's trained samples: both signs, summing to zero in each group.

    Removes the drift of log P(y) common to all samples: E[∇log π(y)] ≠ 0, since y is not sampled from π(y).
    """
    centred_S = np.zeros_like(advantage_S)
    for trained in _groups(group_S, trained_S):
        centred_S[trained] = _centred(advantage_S[trained])
    return centred_S


def _groups(group_S: Index, counted_S: npt.NDArray[np.bool_]) -> Iterator[Index]:
    """For each group, the indices in S of its counted samples."""
    for group in np.unique(group_S):
        yield np.flatnonzero((group_S == group) & counted_S)


def _centred(value_s: Array) -> Array:
    centred_s: Array = value_s - value_s.mean() if len(value_s) else value_s
    # Rounding errors must not become advantages: otherwise equal rewards, or one at the mean, would be trained on (a
    # difference of 1e-17 divided by a std near 0 is even large).
    rounding = len(value_s) * np.finfo(np.float64).eps * np.abs(value_s).max(initial=0.0)
    return np.where(np.abs(centred_s) <= rounding, 0.0, centred_s)
