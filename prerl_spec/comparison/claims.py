"""Which differences are claimed: after Holm over the family, and with one sign over all axes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from prerl_spec.comparison.equal_amounts import AtEqual
from prerl_spec.comparison.estimates import detectable_among
from prerl_spec.comparison.findings import Difference, Estimate, Finding, MarginCode
from prerl_spec.comparison.scored_run import AXES, AXIS_WORDS, Axis
from prerl_spec.report.formatting.p_text import p_text
from prerl_spec.statistics.claims import ArmDifference, claim, same_sign
from prerl_spec.statistics.seeds import holm

EXPLORATORY = "exploratory"
LEAST_SEEDS = 3
"""Of fewer seeds nothing is claimed about a method, whatever their t says."""
CLAIMED = ("better", "worse", "higher", "lower")


def with_findings(
    differences: Sequence[Difference], in_family: Sequence[bool], margin: float | None = None
) -> list[Difference]:
    """The differences with Holm's p over those of the family, what is claimed of each, and where it lies by the margin."""
    family = [d for d, inside in zip(differences, in_family, strict=True) if inside and d.claimed is not None]
    adjusted = dict(zip(map(id, family), holm([d.claimed.p_value for d in family if d.claimed]), strict=True))
    found = []
    for difference in differences:
        p = adjusted.get(id(difference))
        known = difference if p is None else _detectable_among(difference, len(family))
        finding = finding_of(known, p)
        by_margin = None if margin is None else margin_of(known, finding, margin)
        found.append(replace(known, adjusted_p=p, finding=finding, margin=by_margin))
    return found


def margin_of(difference: Difference, finding: Finding, margin: float) -> MarginCode | None:
    """Where the interval that a claim rests on lies by ± margin: None without an interval.

    Within is a statement of its own, beside a claim or without one: as a claim it needs ends that are alike in some amount,
    where runs have been trained. Beyond says how large a difference is that is claimed. The interval is that of one arm alone;
    seeds whose differences are all equal have none: coarse scores repeat by chance. Two seeds decide nothing.
    """
    estimate = difference.claimed
    if estimate is None:
        return None
    if estimate.unit == "seeds" and (not estimate.spread or estimate.count < LEAST_SEEDS):
        return "undecided"
    low, high = estimate.interval.low, estimate.interval.high
    if -margin <= low and high <= margin and (difference.ends_alike or not difference.axes):
        return "within"
    return "beyond" if finding.code in CLAIMED and (low > margin or high < -margin) else "undecided"


def _detectable_among(difference: Difference, num_comparisons: int) -> Difference:
    seeds, questions = difference.by_seeds, difference.by_questions
    return replace(
        difference,
        by_seeds=seeds and detectable_among(seeds, num_comparisons),
        by_questions=questions and detectable_among(questions, num_comparisons),
    )


def finding_of(difference: Difference, adjusted_p: float | None) -> Finding:
    """What may be said of a difference.

    Over questions the finding is one about these checkpoints as they are; over seeds, three at least, one about the method.
    Where the runs have been trained, either also needs ends that are alike in some amount, which it names, and the same sign
    at equal amounts of every axis; an axis on which an arm spends nothing has none.
    """
    estimate = difference.claimed
    if estimate is None:
        return Finding("unknown", f"one run each, no interval over questions either: {difference.why_no_questions}")
    if estimate.covers_zero:
        words = _same_words(difference) if difference.same_results else f"no detectable difference{_why_not(estimate)}"
        return Finding("none", words if adjusted_p is not None else f"{EXPLORATORY}: {words}")
    direction = "higher" if estimate.interval.value > 0 else "lower"
    if adjusted_p is None:
        return Finding("exploratory", f"{EXPLORATORY}: {direction}, not adjusted")
    value = estimate.interval.value
    if why := list(_why_not_claimed(difference, estimate, adjusted_p)):
        return Finding("not_claimed", f"{direction}, not claimed: {', '.join(why)}")
    at = f" at equal {AXIS_WORDS[difference.ends_alike[0]]}" if difference.ends_alike else ""
    is_better = (value > 0) != difference.lower_is_better
    if estimate.unit == "seeds":
        return Finding("better", f"better{at}") if is_better else Finding("worse", f"worse{at}")
    which = f", which is {'better' if is_better else 'worse'}," if difference.lower_is_better else ""
    words = f"this checkpoint scores {direction}{which}{at}".rstrip(",")
    return Finding("higher", words) if value > 0 else Finding("lower", words)


def _why_not_claimed(difference: Difference, estimate: Estimate, adjusted_p: float) -> Iterator[str]:
    """Everything that stands against a claim: to mend one of it alone would not bring it."""
    primary = ArmDifference(estimate.interval, estimate.p_value, adjusted_p)
    if estimate.unit == "seeds" and estimate.count < LEAST_SEEDS:
        yield f"{estimate.count} seeds, and a claim needs {LEAST_SEEDS}"
    if not claim(primary, ()):
        yield f"p {p_text(adjusted_p)} after Holm"
    if not difference.axes:
        return
    if not difference.ends_alike:
        yield "the arms end alike on no axis"
    if unknown := _named(difference.axes, "unknown"):
        yield f"not known at equal {unknown}"
    known = {axis: at.difference for axis, at in difference.axes.items() if at.difference is not None}
    if not known and not unknown:
        yield "the arms have no axis in common"
    value = estimate.interval.value
    turned = [AXIS_WORDS[axis] for axis, other in known.items() if not same_sign(value, other)]
    if turned:
        yield f"not so at equal {' and '.join(turned)}"


def _same_words(difference: Difference) -> str:
    """Of equal verdicts and lengths on every question: models as they are may be one and the same; runs that are compared end
    in other weights."""
    if difference.axes:
        return "no detectable difference (the same results on every question)"
    return (
        "no difference: the same results on every question; the same weights, or questions that do not tell them apart"
    )


def _why_not(estimate: Estimate) -> str:
    """How large a difference would have been found; an interval of no width is owed to scores that repeat, not to precision."""
    if estimate.detectable is not None:
        return f" (detectable: {estimate.detectable:.3f})"
    no_width = estimate.interval.low == estimate.interval.high
    return f" (0 for each of the {estimate.count} {estimate.unit}: the spread is not known)" if no_width else ""


def _named(axes: Mapping[Axis, AtEqual], how: str) -> str:
    return " and ".join(AXIS_WORDS[axis] for axis in AXES if axis in axes and axes[axis].how == how)
