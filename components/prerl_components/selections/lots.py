"""A random number for each token of a step, which is a function of the step alone: drawn again, it is the same."""

import zlib

import numpy as np
import numpy.typing as npt

from prerl_spec.sdk import Step

Lots = npt.NDArray[np.uint64]


def lots(step: Step) -> Lots:
    """[N], spread evenly over 0 … 2^64 − 1: a hash of the step's number (`Step.stream`), the group's slot and refill, the
    response and the position in it. It moves along with groups and attempts; equal responses to one prompt have equal lots."""
    tokens = step.tokens
    if not tokens.num_tokens:
        return np.zeros(0, dtype=np.uint64)
    place_S = [(g.slot, g.refill, _of_ids(a.tokens)) for g in step.groups for a in g.attempts]
    lot_N = np.full(tokens.num_tokens, step.stream, dtype=np.uint64)
    for column_S in np.array(place_S, dtype=np.uint64).T:
        lot_N = _mixed(lot_N + column_S[tokens.sample_N])
    return _mixed(lot_N + tokens.position_N.astype(np.uint64))


def _of_ids(ids: tuple[int, ...]) -> int:
    return zlib.crc32(np.asarray(ids, dtype=np.int64).tobytes())


def _mixed(value_N: Lots) -> Lots:
    """SplitMix64's output function, modulo 2^64."""
    value_N = value_N + np.uint64(0x9E3779B97F4A7C15)
    value_N = (value_N ^ (value_N >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value_N = (value_N ^ (value_N >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value_N ^ (value_N >> np.uint64(31))
