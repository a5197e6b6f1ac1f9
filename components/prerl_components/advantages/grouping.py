"""Sums over a group's scored samples, and the rule that rounding errors are no signal."""

from collections.abc import Iterator

import numpy as np

from prerl_spec.sdk import Array, Index, Step


def scored_groups(step: Step) -> Iterator[tuple[Index, Array]]:
    """For each group, the indices in S of its scored samples, and their rewards. Groups with fewer than two are left out:
    they have nothing to compare."""
    scored_S = ~np.isnan(step.reward_S)
    for group in range(len(step.groups)):
        mine = np.flatnonzero((step.group_S == group) & scored_S)
        if len(mine) > 1:
            yield mine, step.reward_S[mine]


def without_rounding(difference_s: Array, value_s: Array) -> Array:
    """Differences of these values from a mean of theirs, with those of the size of rounding errors as 0.

    Otherwise equal rewards, or one at the mean, would be trained on: 1e-17 divided by a std near 0 is even large.
    """
    rounding = len(value_s) * np.finfo(np.float64).eps * np.abs(value_s).max(initial=0.0)
    return np.where(np.abs(difference_s) <= rounding, 0.0, difference_s)


def from_mean(value_s: Array) -> Array:
    """The values minus their mean."""
    return without_rounding(value_s - value_s.mean(), value_s) if len(value_s) else value_s
