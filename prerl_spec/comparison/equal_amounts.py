"""Two runs at an equal amount of one axis: the ends where these are equal, else the further one's curve at the nearer's end."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

TOLERANCE = 0.02
"""Ends count as equal within this share of the larger one, or within one step."""
WIDEST_GAP = 0.25
"""A curve is read between two scores only where they are at most this share of the amount apart: a line from the base's score
to the last one would be a guess."""

Curve = Sequence[tuple[float, float]]
"""(amount, value), amounts ascending."""


@dataclass(frozen=True)
class AtEqual:
    """The difference second − first at an equal amount: `AtEqual("ends", 0.031, 1.2e6)`.

    "ends": the two ended there; "curve": one was read from its curve; "unmoved": one of them spends nothing on this axis (a
    null arm takes no update), so that it has no equal amounts; "unknown": no scores near enough, or amounts not here.
    """

    how: Literal["ends", "curve", "unmoved", "unknown"]
    difference: float | None = None
    amount: float | None = None
    on: str = ""
    """The task and metric that it was read on, where that is another than the one compared."""
    gap: float | None = None
    """Of "unknown": how far apart the scores around the amount are, as a share of it; the widest of several pairs. None where
    there are none on both sides."""
    unknown_pairs: int = 0
    """Of how many pairs of runs the difference is not known."""

    @property
    def is_known(self) -> bool:
        return self.difference is not None


def at_equal_amount(first: Curve, second: Curve, one_step: float, widest_gap: float = WIDEST_GAP) -> AtEqual:
    """The difference of two curves at the smaller of their last amounts; `one_step` is what a step of the further one takes."""
    (end_a, value_a), (end_b, value_b) = first[-1], second[-1]
    nearer, further = min(end_a, end_b), max(end_a, end_b)
    if nearer <= 0:
        return AtEqual("unmoved")
    if further - nearer <= max(TOLERANCE * further, one_step):
        return AtEqual("ends", value_b - value_a, nearer)
    curve = first if end_a > end_b else second
    read = value_at(curve, nearer, widest_gap)
    if read is None:
        return AtEqual("unknown", amount=nearer, gap=_gap_at(curve, nearer))
    return AtEqual("curve", value_b - read if end_a > end_b else read - value_a, nearer)


def value_at(curve: Curve, amount: float, widest_gap: float = WIDEST_GAP) -> float | None:
    """The curve at an amount, linear between two scores; None outside of it, and between scores that are too far apart."""
    for (x0, y0), (x1, y1) in zip(curve, curve[1:], strict=False):
        if x0 <= amount <= x1:
            if amount in (x0, x1):
                return y0 if amount == x0 else y1
            if x1 - x0 > widest_gap * amount:
                return None
            return y0 + (y1 - y0) * (amount - x0) / (x1 - x0)
    return None


def _gap_at(curve: Curve, amount: float) -> float | None:
    around = ((x0, x1) for (x0, _), (x1, _) in zip(curve, curve[1:], strict=False) if x0 <= amount <= x1)
    return next(((x1 - x0) / amount for x0, x1 in around), None)


def reached_at(curve: Curve, threshold: float, *, lower_is_better: bool = False) -> float | None:
    """The amount at the first score that is at least the threshold, or at most where lower is better; None if none is."""
    return next(
        (amount for amount, value in curve if (value <= threshold if lower_is_better else value >= threshold)), None
    )
