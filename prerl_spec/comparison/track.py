"""One metric along one run: its value at each place where it was scored, and over what had been spent by then."""

from dataclasses import dataclass
from functools import cached_property

from prerl_spec.comparison.conditions import Scored
from prerl_spec.comparison.equal_amounts import AtEqual, at_equal_amount
from prerl_spec.comparison.metrics import places_of, shares_at, value_at
from prerl_spec.comparison.scored_run import Axis, ScoredRun
from prerl_spec.errors import UsageError
from prerl_spec.types import Score


@dataclass(frozen=True)
class Track:
    """A metric of one run under one condition; places ascend by step and have at least one."""

    run: ScoredRun
    series: Scored
    metric: str

    @cached_property
    def places(self) -> tuple[tuple[Score, float], ...]:
        """Each place with the metric there. Raises UsageError where it can be told nowhere."""
        told = [(score, value_at(self.run, score, self.metric)) for score in places_of(self.series, self.metric)]
        found = tuple((score, value) for score, value in told if value is not None)
        if not found:
            raise UsageError(
                f"{self.series.protocol.task}/{self.metric}: {self.run.folder} has kept no results of single questions to count "
                "it from",
                hint="score its checkpoint again with `prerl-spec eval`",
            )
        return found

    @property
    def last(self) -> Score:
        return self.places[-1][0]

    @property
    def value(self) -> float:
        """The metric at the last place."""
        return self.places[-1][1]

    def shares(self) -> dict[str, float] | None:
        """Question -> value at the last place; None where there are no results of single questions."""
        return shares_at(self.run, self.last, self.metric)

    def over(self, axis: str) -> list[tuple[float, float]] | None:
        """(amount, value) at each place; None where an amount is not known."""
        found = [(self.run.amounts_at(score)[axis], value) for score, value in self.places]
        known = [(float(amount), value) for amount, value in found if amount is not None]
        return known if len(known) == len(found) else None

    def one_step(self, axis: Axis) -> float:
        """What the last step took of an axis."""
        if not self.run.steps:
            return 0.0
        step = self.run.steps[-1]
        taken = {
            "generated_tokens": step.generated_tokens,
            "updates": step.applied,
            "seconds": step.seconds.get("total", 0.0),
        }
        return float(taken[axis])


def at_equal(first: Track, second: Track, axis: Axis) -> AtEqual:
    """The difference second − first at an equal amount of an axis."""
    a, b = first.over(axis), second.over(axis)
    if a is None or b is None:
        return AtEqual("unknown")
    further = first if a[-1][0] > b[-1][0] else second
    return at_equal_amount(a, b, further.one_step(axis))
