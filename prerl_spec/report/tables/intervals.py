"""Intervals for the report, where the install has what they need: without the extra `train` there is no scipy, and none."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prerl_spec.statistics.intervals import Interval

MISSING = "needs scipy: pip install 'prerl-spec[train]'"


def has_intervals() -> bool:
    return find_spec("scipy") is not None


def of_shares(share_Q: Sequence[float]) -> "Interval | None":
    """`share_interval`, None without scipy."""
    if not has_intervals():
        return None
    from prerl_spec.statistics.intervals import share_interval

    return share_interval(share_Q)


def of_pairs(first_Q: Sequence[float], second_Q: Sequence[float], num_samples: int) -> "Interval | None":
    """`paired_interval`, None without scipy."""
    if not has_intervals():
        return None
    from prerl_spec.statistics.paired import paired_interval

    return paired_interval(first_Q, second_Q, num_samples)
