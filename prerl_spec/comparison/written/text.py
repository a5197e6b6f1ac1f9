"""A comparison as text for a terminal."""

from collections.abc import Iterator

from prerl_spec.comparison.findings import Comparison, Difference, Table
from prerl_spec.comparison.scored_run import AXIS_WORDS
from prerl_spec.comparison.written.words import (
    DETECTABLE,
    SPENT,
    amount_words,
    axes_words,
    detectable_words,
    estimates_of,
    family_words,
    finding_words,
    interval_words,
    margin_words,
    mean,
    p_words,
    pairs_words,
    remarks_of,
    signed,
    unit_sentence,
    unit_words,
)
from prerl_spec.compiler.render.human_units import table as columns
from prerl_spec.report.formatting.printable import printable


def as_text(comparison: Comparison) -> str:
    """Every table with its findings, then what was spent and what was left out."""
    return printable("\n".join(_lines(comparison)))


def _lines(comparison: Comparison) -> Iterator[str]:
    yield f"{comparison.title}: against {comparison.baseline}"
    yield f"{comparison.paired_on}; {family_words(comparison)}"
    if (margin := margin_words(comparison)) is not None:
        yield margin
    yield from comparison.notes
    if comparison.advice:
        yield comparison.advice
    yield unit_sentence(comparison)
    yield DETECTABLE
    for table in comparison.tables:
        yield ""
        remarks = remarks_of(table)
        yield f"{table.task}  {table.metric}{f'  ({remarks})' if remarks else ''}"
        yield from _table(comparison.baseline, table)
        yield f"  {table.conditions}"
    if comparison.arms[0].amounts:
        yield ""
        yield SPENT
        rows = [("", *AXIS_WORDS.values(), "runs")]
        rows += [
            (arm.arm, *(amount_words(axis, arm.amounts[axis]) for axis in AXIS_WORDS), str(len(arm.seeds)))
            for arm in comparison.arms
        ]
        yield from columns(rows)
    if comparison.left_out:
        yield ""
        yield "not compared"
        yield from (f"  {what}: {why}" for what, why in comparison.left_out)


def _table(baseline: str, table: Table) -> Iterator[str]:
    yield from (f"  {difference.arm}: {finding_words(difference)}" for difference in table.differences)
    rows: list[tuple[str, ...]] = [("arm", "value", "difference", "95 % interval", "over", "detectable", "p")]
    rows.append((baseline, f"{mean(table.baseline_values):.3f}", "", "", "", "", ""))
    for difference in table.differences:
        rows += _rows(difference)
    yield from columns(rows)
    for difference in table.differences:
        if words := axes_words(difference):
            yield f"  {difference.arm} at equal {words}"
        if words := pairs_words(table, difference, baseline):
            yield f"  {words}"
        if difference.why_no_questions:
            yield f"  {difference.arm} not by questions: {difference.why_no_questions}"
    if table.reached:
        parts = []
        for one in table.reached:
            of = "" if one.num_seeds == 1 else f" ({one.num_reached} of {one.num_seeds})"
            if one.generated_tokens is None or one.steps is None:
                parts.append(f"{one.arm} never{of}")
            else:
                tokens = amount_words("generated_tokens", one.generated_tokens)
                parts.append(f"{one.arm} after {tokens} generated tokens, {one.steps:.0f} steps{of}")
        yield f"  first at {table.threshold:.3f}, where {baseline} ends: {'; '.join(parts)}"


def _rows(difference: Difference) -> Iterator[tuple[str, ...]]:
    names = (difference.arm, f"{mean(difference.values):.3f}")
    shown = estimates_of(difference)
    if not shown:
        change = signed(mean(difference.values) - mean(difference.baseline_values))
        yield (*names, change, "", "", "", "")
    for place, estimate in enumerate(shown):
        first = place == 0
        yield (
            *(names if first else ("", "")),
            signed(estimate.interval.value),
            interval_words(estimate),
            unit_words(estimate),
            detectable_words(estimate),
            p_words(difference) if first else "",
        )
