"""One metric along one run: its value at each place where it was scored, and over what had been spent by then."""

from dataclasses import dataclass
from functools import cached_property

from prerl_spec.comparison.conditions import Scored
from prerl_spec.comparison.equal_amounts import AtEqual, at_equal_amount
from prerl_spec.comparison.metrics import places_of, shares_at, value_at
from prerl_spec.comparison.scored_run import Amounts, ScoredRun, parted_at
from prerl_spec.errors import UsageError
from prerl_spec.evaluation.scores.directions import is_lower_better
from prerl_spec.types import Score

_NOTHING = Amounts()


@dataclass(frozen=True)
class Track:
    """A metric of one run under one condition; places ascend by step and have at least one."""

    run: ScoredRun
    series: Scored
    metric: str

    @cached_property
    def places(self) -> tuple[tuple[Score, float], ...]:
        """Each place with the metric there. Raises UsageError where it cannot be told at the last one."""
        told = [(score, value_at(self.run, score, self.metric)) for score in places_of(self.series, self.metric)]
        found = tuple((score, value) for score, value in told if value is not None)
        if told[-1][1] is None:
            where = f" at its last score, of step {told[-1][0].global_step}," if found else ""
            raise UsageError(
                f"{self.series.protocol.task}/{self.metric}: {self.run.folder} has kept no results of single questions{where} "
                "to count it from",
                hint="score its checkpoint again with `prerl-spec eval`",
            )
        return found

    @property
    def is_lower_better(self) -> bool:
        """Whether less of the metric is better, by its name or as its task has said."""
        kept = self.run.questions_of(self.last)
        return is_lower_better(self.metric, () if kept is None else kept[0].get("lower_is_better", ()))

    @property
    def last(self) -> Score:
        return self.places[-1][0]

    @property
    def value(self) -> float:
        """The metric at the last place."""
        return self.places[-1][1]

    def has_results_of(self, other: "Track") -> bool:
        """Whether each question has the same verdicts, lengths and values in both at their last places; False where these were
        not kept."""
        own, others = (track.run.questions_of(track.last) for track in (self, other))
        return own is not None and others is not None and list(own[1]) == list(others[1])

    def shares(self, *, by_row: bool = False) -> dict[str, float] | None:
        """Question, or its row, -> value at the last place; None where there are no results of single questions."""
        return shares_at(self.run, self.last, self.metric, by_row=by_row)

    def over(self, axis: str, since: Amounts = _NOTHING) -> list[tuple[float, float]]:
        """(amount, value) at each place, ascending; amounts are counted from what had been spent then, and places before it are
        left out."""
        found = [(self.run.spent_at(score.global_step).minus(since), value) for score, value in self.places]
        return [(getattr(amounts, axis), value) for amounts, value in found if amounts.steps >= 0]

    def last_step(self, axis: str) -> float:
        """What the last step took of an axis."""
        return float(getattr(self.run.steps[-1].amounts, axis)) if self.run.steps else 0.0


def at_equal(first: Track, second: Track, axis: str) -> AtEqual:
    """The difference second − first at an equal amount of an axis, counted from where the two runs parted. Not known where one
    of them was last scored before that."""
    parted = parted_at(first.run, second.run)
    if parted is None:
        return AtEqual("unknown")
    a, b = first.over(axis, parted[0]), second.over(axis, parted[1])
    if not a or not b:
        return AtEqual("unknown")
    further = first if a[-1][0] > b[-1][0] else second
    return at_equal_amount(a, b, further.last_step(axis))
