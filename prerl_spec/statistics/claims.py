"""What is claimed of a difference: detected after Holm, with one sign over all axes."""

from collections.abc import Sequence
from dataclasses import dataclass

from prerl_spec.statistics.intervals import Interval
from prerl_spec.statistics.seeds import ALPHA


@dataclass(frozen=True)
class ArmDifference:
    """An arm against the baseline over seeds: `ArmDifference(Interval(.02, .004, .036), p_value=.02, adjusted_p=.04)`."""

    interval: Interval
    p_value: float
    adjusted_p: float

    @property
    def sign(self) -> int:
        """1 or −1 where a difference is detected at 5 % after Holm, else 0: the interval, which is not adjusted, may then still
        exclude 0."""
        return 0 if self.adjusted_p >= ALPHA else _sign(self.interval.value)


def claim(primary: ArmDifference, others: Sequence[ArmDifference]) -> int:
    """1 or −1 where a claim holds, else 0: detected on the primary axis, and the mean differences on all others (say updates
    and seconds, beside generated tokens) have the same sign, detected there or not."""
    agree = all(same_sign(primary.interval.value, other.interval.value) for other in others)
    return primary.sign if agree else 0


def same_sign(first: float, second: float) -> bool:
    """Whether both are above 0, or both below: of an exact 0 no sign is known."""
    return _sign(first) == _sign(second) != 0


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)
