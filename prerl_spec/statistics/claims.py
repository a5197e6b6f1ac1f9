"""From arms × seeds to a claim: paired differences a seed, t over seeds, Holm over arms, one sign over all axes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prerl_spec.statistics.intervals import Interval
from prerl_spec.statistics.seeds import ALPHA, holm, seed_interval, t_p_value


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


def arm_differences(difference_S_by_arm: Mapping[str, Sequence[float]]) -> dict[str, ArmDifference]:
    """Arm -> its differences from the baseline, one a seed; adjusted by Holm over the arms given.

    The interval is not adjusted: its unit is the seed, its confidence 95 % for each arm alone. Raises ValueError for an arm
    with fewer than two seeds.
    """
    p_values = [t_p_value(difference_S) for difference_S in difference_S_by_arm.values()]
    return {
        arm: ArmDifference(seed_interval(difference_S), p_value, adjusted_p)
        for (arm, difference_S), p_value, adjusted_p in zip(
            difference_S_by_arm.items(), p_values, holm(p_values), strict=True
        )
    }


def claim(primary: ArmDifference, others: Sequence[ArmDifference]) -> int:
    """1 or −1 where a claim holds, else 0: detected on the primary axis, and the mean differences on all others (say updates
    and seconds, beside generated tokens) have the same sign, detected there or not."""
    agree = all(_sign(other.interval.value) == primary.sign for other in others)
    return primary.sign if agree else 0


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)
