"""Numbers and units of a comparison as every form writes them."""

from collections.abc import Mapping
from math import floor, log10

from prerl_spec.comparison.equal_amounts import WIDEST_GAP, AtEqual
from prerl_spec.comparison.findings import Comparison, Difference, Estimate, Table
from prerl_spec.comparison.scored_run import AXES, AXIS_WORDS
from prerl_spec.report.formatting.p_text import p_text
from prerl_spec.report.formatting.paper_text import MINUS
from prerl_spec.report.formatting.scales import duration, short

LEAST_SHOWN = 0.0005
"""What three digits show as 0 lies below."""
ROUNDING = 1e-12
"""What sums of floating-point numbers leave of a 0."""


def signed(value: float) -> str:
    """`+0.031`, `−0.012`; a value that rounds to 0 has no sign."""
    text = f"{abs(value):.3f}"
    return text if not float(text) else f"{'+' if value > 0 else MINUS}{text}"


def interval_words(estimate: Estimate) -> str:
    """`[−0.004, +0.062]`; an end near 0 with as many digits as show on which side of 0 it lies."""
    return f"[{_end(estimate.interval.low)}, {_end(estimate.interval.high)}]"


def _end(value: float) -> str:
    if not ROUNDING < abs(value) < LEAST_SHOWN:
        return signed(value)
    return f"{'+' if value > 0 else MINUS}{abs(value):.{-floor(log10(abs(value)))}f}"


def unit_words(estimate: Estimate) -> str:
    """`3 seeds`, `512 questions`: what the interval is over."""
    return f"{estimate.count} {estimate.unit}"


def detectable_words(estimate: Estimate | None) -> str:
    """A dash where the spread tells none."""
    return "–" if estimate is None or estimate.detectable is None else f"{estimate.detectable:.3f}"


def p_words(difference: Difference) -> str:
    """Holm's p; a dash for an exploratory one."""
    return "–" if difference.adjusted_p is None else p_text(difference.adjusted_p)


def amount_words(axis: str, amount: float) -> str:
    """`1.2M`, `24`, `3 m 20 s`."""
    return duration(amount) if axis == "seconds" else short(amount)


def equal_words(axis: str, at: AtEqual) -> str:
    """`+0.031 (at 1.2M)`; why there is no difference where there is none."""
    if at.difference is None:
        return "one arm spends none" if at.how == "unmoved" else f"not known ({_why_unknown(at)})"
    read = f", on {at.on}" if at.on else ", curve" if at.how == "curve" else ""
    where = "" if at.amount is None else f" (at {amount_words(axis, at.amount)}{read})"
    return f"{signed(at.difference)}{where}"


def _why_unknown(at: AtEqual) -> str:
    """`in 1 pair scores lie 25.31% of the amount apart, more than 25%`."""
    pairs = f"in {at.unknown_pairs} pair{'s' if at.unknown_pairs > 1 else ''} " if at.unknown_pairs else ""
    if at.gap is None:
        return f"{pairs}no scores around an equal amount"
    up_to = "up to " if at.unknown_pairs > 1 else ""
    return f"{pairs}scores lie {up_to}{at.gap:.2%} of the amount apart, more than {WIDEST_GAP:.0%}"


def axes_words(difference: Difference) -> str:
    """`generated tokens +0.031 (at 1.2M); updates …; seconds …`; empty for models as they are."""
    return "; ".join(
        f"{AXIS_WORDS[axis]} {equal_words(axis, difference.axes[axis])}" for axis in AXES if axis in difference.axes
    )


def mean(values: Mapping[str, float]) -> float:
    return sum(values.values()) / len(values)


def title_of(table: Table) -> str:
    """`math500_boxed · pass@1`."""
    return f"{table.task} · {table.metric}"


def remarks_of(table: Table) -> str:
    """`primary, lower is better`: what a table's heading says beside its name; empty for most."""
    return ", ".join(
        word for word, holds in (("primary", table.is_primary), ("lower is better", table.lower_is_better)) if holds
    )


def estimates_of(difference: Difference) -> list[Estimate]:
    """Over seeds, then over questions, as far as there are."""
    return [one for one in (difference.by_seeds, difference.by_questions) if one is not None]


def pairs_words(table: Table, difference: Difference, baseline: str) -> str:
    """`dsrl has 2 of 3 pairs: grpo is 0.512 in them`, where the baseline's value is that of more runs; else empty."""
    own, whole = difference.baseline_values, table.baseline_values
    if len(own) == len(whole):
        return ""
    return f"{difference.arm} has {len(own)} of {len(whole)} pairs: {baseline} is {mean(own):.3f} in them"


def finding_words(difference: Difference) -> str:
    """The finding, and where the difference lies by the margin: `no detectable difference; within the margin`."""
    margin = difference.margin
    if margin is None:
        return difference.finding.words
    return f"{difference.finding.words}; {f'{margin} the margin' if margin != 'undecided' else 'margin undecided'}"


def margin_words(comparison: Comparison) -> str | None:
    """The margin in the scores' units, and what it is held against."""
    if comparison.margin is None:
        return None
    return f"margin ± {comparison.margin:g} (in units of the score), against each arm's own 95 % interval"


def family_words(comparison: Comparison) -> str:
    """What p values are adjusted over."""
    if not comparison.family:
        primary = comparison.primary
        if primary is None or any(table.is_primary for table in comparison.tables):
            return "no p: nothing here has an interval"
        return f"nothing here is adjusted or claimed: {primary} is the primary"
    arms = "the arms named" if comparison.arms_named else "the arms"
    of = f"{comparison.primary}, over {arms}" if comparison.primary else "everything compared here: no primary is named"
    number = "1 comparison" if comparison.family == 1 else f"{comparison.family} comparisons"
    return f"p after Holm over {number} ({of})"


def unit_sentence(comparison: Comparison) -> str:
    """For what a claim would hold, and why an interval over questions may be longer on one side."""
    units = {one.unit for table in comparison.tables for d in table.differences for one in estimates_of(d)}
    if "seeds" in units:
        return (
            "Over seeds an interval is about the method: other seeds, these questions. "
            "Over questions it is about these checkpoints: other questions of this kind. It allows for questions that were not "
            "drawn, and need not be centred."
        )
    return (
        "Over questions: an interval is about these checkpoints, on other questions of this kind, not about the methods; "
        "it allows for questions that were not drawn, and need not be centred."
    )


DETECTABLE = "detectable: the difference that such a comparison finds in 80 % of cases, at the spread seen here"
SPENT = "spent until the last scores, by the runs that they were started from too; mean over runs"
