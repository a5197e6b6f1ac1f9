"""Differences from a mean, with the rule that rounding errors are no signal."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def minus_mean(value_s: Array, weight_s: npt.NDArray[np.float64 | np.int64] | None = None) -> Array:
    """[s] vᵢ − Σⱼ wⱼvⱼ / Σⱼ wⱼ, the plain mean without weights; equal values yield exactly 0.

    Also 0 where no value has weight.
    """
    if not len(value_s) or (weight_s is not None and not weight_s.any()):
        return np.zeros(value_s.shape)
    return without_rounding(value_s - np.average(value_s, weights=weight_s), value_s)


def without_rounding(difference_s: Array, value_s: Array) -> Array:
    """[s] the differences of these values from a mean of theirs, with those of the size of rounding errors as 0.

    Otherwise equal rewards, or one at the mean, would be trained on: 1e-17 divided by a std near 0 is even large.
    """
    rounding = len(value_s) * np.finfo(np.float64).eps * np.abs(value_s).max(initial=0.0)
    return np.where(np.abs(difference_s) <= rounding, 0.0, difference_s)
