"""What is compared, and what came of it: the records that the text, the tables, the page and the JSON are written from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from prerl_spec.comparison.equal_amounts import AtEqual
from prerl_spec.comparison.scored_run import Axis
from prerl_spec.statistics.intervals import Interval

Unit = Literal["seeds", "questions"]


@dataclass(frozen=True)
class Estimate:
    """A mean paired difference with its 95 % interval and the unit that it holds for.

    `count` is the number of units, `spread` the standard deviation of their differences, `detectable` the smallest difference
    that a test over as many finds in 80 % of cases at that spread, within the family at the first of Holm's thresholds (None
    without spread: scores that are equal by chance promise nothing), p the two-sided p value, below .05 where the interval
    excludes 0.
    """

    unit: Unit
    count: int
    interval: Interval
    p_value: float
    spread: float
    detectable: float | None

    @property
    def covers_zero(self) -> bool:
        return self.interval.low <= 0.0 <= self.interval.high


@dataclass(frozen=True)
class Difference:
    """An arm against the baseline on one task and metric: values, differences by unit, over each axis, and the finding.

    `adjusted_p` is Holm's over the family of comparisons, None for an exploratory one. `values` and `baseline_values` are by
    seed, of the pairs alone. `why_no_questions` says why `by_questions` is None. `ends_alike` names the amounts in which the
    runs of every pair end alike. `margin` says where the difference lies by the margin asked for, None where none was.
    `lower_is_better`: the metric is a perplexity, or another of which less is better. `same_results`: each question has the
    same verdicts, lengths and values in both runs of every pair.
    """

    arm: str
    task: str
    metric: str
    values: Mapping[str, float]
    baseline_values: Mapping[str, float]
    by_seeds: Estimate | None
    by_questions: Estimate | None
    why_no_questions: str
    axes: Mapping[Axis, AtEqual]
    ends_alike: tuple[str, ...]
    adjusted_p: float | None
    finding: "Finding"
    margin: "MarginCode | None" = None
    lower_is_better: bool = False
    same_results: bool = False

    @property
    def claimed(self) -> Estimate | None:
        """The estimate that a claim rests on: over seeds where there are several, else over questions."""
        return self.by_seeds or self.by_questions


MarginCode = Literal["within", "beyond", "undecided"]
"""Within: the whole interval lies within ± margin; beyond: a difference that is claimed, with the whole interval outside."""
FindingCode = Literal["better", "worse", "higher", "lower", "none", "not_claimed", "exploratory", "unknown"]


@dataclass(frozen=True)
class Finding:
    """A code and its words: `Finding("none", "no detectable difference")`.

    better, worse: a claim about the method, over seeds; higher, lower: about these checkpoints, over questions; none: no
    detectable difference; not_claimed: the interval excludes 0, and Holm or an axis does not bear it out; exploratory: not in
    the family; unknown: there is no interval.
    """

    code: FindingCode
    words: str


NO_FINDING = Finding("unknown", "")
"""Of a difference whose family is not known yet."""


@dataclass(frozen=True)
class ArmCurve:
    """An arm's mean over its seeds where all were scored, and at their ends, with the least and the most of them."""

    arm: str
    generated_tokens: tuple[float, ...]
    steps: tuple[float, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    num_seeds: int


@dataclass(frozen=True)
class Reached:
    """When an arm's curve first was at the threshold: medians over the seeds that got there, None where none did."""

    arm: str
    num_seeds: int
    num_reached: int
    generated_tokens: float | None
    steps: float | None


@dataclass(frozen=True)
class Table:
    """One task under one condition, one metric: every arm against the baseline."""

    task: str
    metric: str
    conditions: str
    is_primary: bool
    baseline_values: Mapping[str, float]
    differences: tuple[Difference, ...]
    curves: tuple[ArmCurve, ...]
    threshold: float | None
    reached: tuple[Reached, ...]
    lower_is_better: bool = False
    ended_worse: tuple[str, ...] = ()
    """Arms each of whose runs ends worse than it was first scored, in words."""


@dataclass(frozen=True)
class Spent:
    """What an arm had spent at its last scores, means over its runs; nothing for models as they are."""

    arm: str
    seeds: tuple[str, ...]
    amounts: Mapping[str, float]


@dataclass(frozen=True)
class Comparison:
    """A comparison as a whole.

    `family` is over how many comparisons Holm has adjusted; `paired_on` says on what the runs are paired; `left_out` what
    was not compared, and why. `arms_named`: the arms are those that were asked for, not all. `margin` is in the scores' own
    units (0.02 is two points). `advice` says what option may tell more: for the reader at a terminal, no part of the result.
    """

    title: str
    baseline: str
    arms: tuple[Spent, ...]
    paired_on: str
    primary: str | None
    family: int
    tables: tuple[Table, ...]
    left_out: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    arms_named: bool = False
    margin: float | None = None
    advice: str = ""
