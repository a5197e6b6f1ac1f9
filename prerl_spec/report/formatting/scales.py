"""Axis ticks, short numbers, durations, and thinning of long curves that preserves their extremes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    """One point of a curve; `low` and `high` are its bounds, or the extremes of the steps that it bins, `mean` their mean."""

    x: float
    mean: float
    low: float
    high: float


def thinned(
    xs: Sequence[int],
    ys: Sequence[float],
    bounds: Sequence[tuple[float, float]] = (),
    max_points: int = 240,
) -> list[Point]:
    """The curve in at most `max_points` points: bins of equal width in x, each with its mean and extremes.

    The extremes are those of the `bounds`, one pair a value, where there are any. A spike of one step in ten thousand stays
    visible in the envelope. Short curves are returned unchanged.
    """
    ends = bounds or [(y, y) for y in ys]
    members = list(zip(xs, ys, ends, strict=True))
    if len(members) <= max_points:
        return [Point(x, y, low, high) for x, y, (low, high) in members]
    first, width = xs[0], (xs[-1] - xs[0] + 1) / max_points
    bins: dict[int, list[tuple[int, float, tuple[float, float]]]] = {}
    for member in members:
        bins.setdefault(int((member[0] - first) / width), []).append(member)
    return [_merged(bins[k]) for k in sorted(bins)]


def _merged(members: Sequence[tuple[int, float, tuple[float, float]]]) -> Point:
    return Point(
        math.fsum(x for x, _, _ in members) / len(members),
        math.fsum(y for _, y, _ in members) / len(members),
        min(low for _, _, (low, _) in members),
        max(high for _, _, (_, high) in members),
    )


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) inside [low, high].

    >>> ticks(0.0, 1.0)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    if not high > low:
        return [low]
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    apart = next(power * m for m in (1, 2, 5, 10) if power * m >= rough * 0.75)
    first, last = math.ceil(low / apart - 1e-9), math.floor(high / apart + 1e-9)
    return [round(k * apart, 12) for k in range(first, last + 1)]


def tick_labels(marks: Sequence[float]) -> list[str]:
    """Labels of the ticks, with as many digits as distinguish them.

    >>> tick_labels([4.04, 4.045, 4.05])
    ['4.04', '4.045', '4.05']
    """
    labels = [short(mark) for mark in marks]
    for digits in range(4, 13):
        if len(set(labels)) == len(labels):
            break
        labels = [f"{mark:.{digits}g}" for mark in marks]
    return labels


def span_of(values: Sequence[float], *, include: Sequence[float] = ()) -> tuple[float, float]:
    """A range that includes all values with a margin; never of zero height. Zeros alone, as of a share that stays there, are
    the floor of 0 to 1."""
    low, high = min([*values, *include]), max([*values, *include])
    if low == high:
        return (0.0, 1.0) if low == 0 else (low - abs(low) * 0.1, high + abs(high) * 0.1)
    margin = (high - low) * 0.04
    return (low if low in include else low - margin, high if high in include else high + margin)


def short(value: float) -> str:
    """A number in about six characters at most: 0.123, 48.1, 1240, 1.24M, 3.2e-6.

    >>> [short(v) for v in (0.0, 0.5, 0.12345, 48.12, 1240.0, 1_240_000.0, 0.0000032)]
    ['0', '0.5', '0.123', '48.1', '1240', '1.24M', '3.2e-6']
    """
    size = abs(value)
    if value == 0:
        return "0"
    if size >= 1e6:
        return f"{value / 1e6:.3g}M" if size < 1e9 else f"{value / 1e9:.3g}G"
    if size >= 1e4:
        return f"{value / 1e3:.3g}k"
    if size >= 100:
        return f"{value:.0f}"
    if size < 1e-3:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    return f"{value:.3g}"


def duration(seconds: float) -> str:
    """Seconds in human-readable units.

    >>> [duration(s) for s in (0.42, 8.24, 75.0, 4000.0, 200_000.0)]
    ['0.4 s', '8.2 s', '1 m 15 s', '1 h 06 m', '2 d 07 h']
    """
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} m {whole % 60:02d} s"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} m"
    return f"{whole // 86400} d {whole % 86400 // 3600:02d} h"
