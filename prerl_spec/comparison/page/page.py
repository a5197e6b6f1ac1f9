"""compare --out FILE.html: one page with the findings, the differences, the curves and the conditions."""

from importlib.resources import files
from pathlib import Path

from prerl_spec.comparison.findings import ArmCurve, Comparison, Difference, Table
from prerl_spec.comparison.scored_run import AXES, AXIS_WORDS
from prerl_spec.comparison.written.words import (
    DETECTABLE,
    amount_words,
    detectable_words,
    equal_words,
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
    title_of,
    unit_sentence,
    unit_words,
)
from prerl_spec.report.drawing.interval_rows import Row, interval_rows
from prerl_spec.report.drawing.labelled_table import labelled_table
from prerl_spec.report.drawing.markup import Html, document, join, tag
from prerl_spec.report.drawing.plots import NUM_STYLES, Curve, curve_chart
from prerl_spec.situations import writing
from prerl_spec.storage.disk import write_whole


def write_page(comparison: Comparison, file: Path) -> None:
    """Raises what `situations.writing` raises for a place that cannot be written; an existing page is then unchanged."""
    with writing(file, "choose another place with --out FILE.html"):
        write_whole(file, render(comparison))


def render(comparison: Comparison) -> str:
    """The page as text."""
    style = _text("prerl_spec.report.page", "page.css") + _text("prerl_spec.comparison.page", "comparison.css")
    script = _text("prerl_spec.report.page", "page.js")
    styles = {arm.arm: place % NUM_STYLES for place, arm in enumerate(comparison.arms)}
    header = tag(
        "header",
        tag("h1", comparison.title),
        tag("p", f"against {comparison.baseline}; {comparison.paired_on}", class_="unit"),
    )
    tables = [_table(comparison, table, styles) for table in comparison.tables]
    sections = [
        _section("Findings", _findings(comparison)),
        _section("Differences", *tables),
        _section("Spent", _spent(comparison)) if comparison.arms[0].amounts else None,
        _section("Not compared", _left_out(comparison)) if comparison.left_out else None,
    ]
    title = f"{comparison.title} · prerl-spec"
    return document(title, tag("main", header, *sections), style=style, script=script)


def _text(package: str, name: str) -> str:
    return files(package).joinpath(name).read_text("utf-8")


def _section(title: str, *children: Html) -> Html:
    return tag("section", tag("h2", title), tag("div", *children, class_="stack"))


def _findings(comparison: Comparison) -> Html:
    """A sentence for each arm on the primary; on everything where none is named."""
    chosen = [table for table in comparison.tables if table.is_primary] or list(comparison.tables)
    lines = [_sentence(comparison, table, d) for table in chosen for d in table.differences]
    margin = margin_words(comparison)
    notes = [
        f"{family_words(comparison)}.",
        *([] if margin is None else [f"{margin}."]),
        unit_sentence(comparison),
        f"{DETECTABLE[0].upper()}{DETECTABLE[1:]}.",
        *comparison.notes,
        *filter(None, [comparison.advice]),
    ]
    return tag(
        "article",
        tag("ul", *lines, class_="finding"),
        *(tag("p", note, class_="note") for note in notes),
        class_="card",
    )


def _sentence(comparison: Comparison, table: Table, difference: Difference) -> Html:
    words = finding_words(difference)
    estimate = difference.claimed
    numbers = "" if estimate is None else f", {signed(estimate.interval.value)} {interval_words(estimate)}"
    over = "" if estimate is None else f" over {unit_words(estimate)}"
    return tag(
        "li",
        tag("b", difference.arm),
        f" against {comparison.baseline} on {title_of(table)}: ",
        tag("b", words, class_=_colour(difference)),
        f"{numbers}{over}",
    )


def _colour(difference: Difference) -> str:
    """The class of a finding: better and worse also where it is about checkpoints."""
    code = difference.finding.code
    if code not in ("higher", "lower"):
        return code
    return "better" if (code == "higher") != difference.lower_is_better else "worse"


def _table(comparison: Comparison, table: Table, styles: dict[str, int]) -> Html:
    rows = [
        Row(
            d.arm,
            f"over {unit_words(one)}",
            one.interval.value,
            one.interval.low,
            one.interval.high,
            f"{signed(one.interval.value)} {interval_words(one)}",
            styles[d.arm],
        )
        for d in table.differences
        for one in estimates_of(d)
    ]
    remarks = remarks_of(table)
    heading = tag("h3", title_of(table), tag("span", f" {remarks}", class_="unit") if remarks else None)
    shaded = "" if comparison.margin is None else f"; shaded: within ± {comparison.margin:g}"
    title = f"difference from {comparison.baseline}, 95 % intervals{shaded}"
    plot = interval_rows(title, rows, zero=True, margin=comparison.margin) if rows else None
    pairs = [pairs_words(table, d, comparison.baseline) for d in table.differences]
    reasons = dict.fromkeys(
        f"{d.arm} not by questions: {d.why_no_questions}" for d in table.differences if d.why_no_questions
    )
    return tag(
        "article",
        heading,
        tag("div", plot, _curves(table, styles) if table.curves else None, class_="pair"),
        _numbers(comparison, table),
        *(tag("p", reason, class_="note") for reason in [*filter(None, pairs), *reasons]),
        _reached(comparison, table),
        tag("p", table.conditions, class_="note"),
        class_="card",
    )


def _numbers(comparison: Comparison, table: Table) -> Html:
    axes = [axis for axis in AXES if any(axis in d.axes for d in table.differences)]
    head = ("arm", "value", "detectable", "p", *(f"at equal {AXIS_WORDS[axis]}" for axis in axes), "finding")
    rows = [(comparison.baseline, f"{mean(table.baseline_values):.3f}", *[""] * (len(head) - 2))]
    for d in table.differences:
        equal = (equal_words(axis, d.axes[axis]) if axis in d.axes else "" for axis in axes)
        rows.append((d.arm, f"{mean(d.values):.3f}", detectable_words(d.claimed), p_words(d), *equal, finding_words(d)))
    at_equal = (f"at equal {AXIS_WORDS[axis]}" for axis in axes)
    return labelled_table(f"{title_of(table)}: values and findings", head, rows, wrapped=("finding", *at_equal))


def _curves(table: Table, styles: dict[str, int]) -> Html:
    several = any(curve.num_seeds > 1 for curve in table.curves)
    of = "mean over seeds, over generated tokens" if several else "over generated tokens"
    return curve_chart(
        title_of(table),
        of,
        [_curve(curve, styles[curve.arm]) for curve in table.curves],
        (),
        over="generated tokens",
        band="least to most of the seeds" if several else "",
    )


def _curve(curve: ArmCurve, style: int) -> Curve:
    return Curve(
        curve.arm,
        tuple(map(round, curve.generated_tokens)),
        curve.mean,
        style,
        bounds=tuple(zip(curve.low, curve.high, strict=True)),
    )


def _reached(comparison: Comparison, table: Table) -> Html | None:
    if table.threshold is None:
        return None
    rows = []
    for one in table.reached:
        tokens = "never" if one.generated_tokens is None else amount_words("generated_tokens", one.generated_tokens)
        steps = "never" if one.steps is None else f"{one.steps:.0f}"
        rows.append((one.arm, tokens, steps, f"{one.num_reached} of {one.num_seeds}"))
    caption = tag("p", f"First at {table.threshold:.3f}, where {comparison.baseline} ends; medians.", class_="note")
    head = ("arm", "generated tokens", "steps", "runs that got there")
    return join([caption, labelled_table("steps and tokens to the threshold", head, rows)])


def _spent(comparison: Comparison) -> Html:
    rows = [
        (arm.arm, *(amount_words(axis, arm.amounts[axis]) for axis in AXIS_WORDS), str(len(arm.seeds)))
        for arm in comparison.arms
    ]
    caption = tag("p", "Until the last scores, mean over runs.", class_="note")
    table = labelled_table("what each arm has spent", ("arm", *AXIS_WORDS.values(), "runs"), rows)
    return tag("article", caption, table, class_="card")


def _left_out(comparison: Comparison) -> Html:
    lines = [tag("li", f"{what}: {why}") for what, why in comparison.left_out]
    return tag("article", tag("ul", *lines, class_="finding"), class_="card")
