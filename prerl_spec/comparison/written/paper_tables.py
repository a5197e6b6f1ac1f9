"""A comparison as a table for papers: Markdown, and LaTeX with booktabs."""

from collections.abc import Callable, Iterator

from prerl_spec.comparison.equal_amounts import AtEqual
from prerl_spec.comparison.findings import Comparison, Difference
from prerl_spec.comparison.scored_run import AXES, AXIS_WORDS
from prerl_spec.comparison.written.words import (
    SPENT,
    amount_words,
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
from prerl_spec.report.formatting.paper_text import in_latex, in_markdown, latex_row, markdown_row

HEADING = ("task", "metric", "arm", "value", "difference", "95 % interval", "over", "p", "finding")
AT_EQUAL = f"at equal {' / '.join(AXIS_WORDS[axis] for axis in AXES)}"


SIGNS = {"unmoved": ("–", "one arm spends none of it"), "unknown": ("?", "not known at an equal amount")}
"""What stands for a difference at an equal amount where there is none."""
ELSEWHERE = "*"


def as_markdown(comparison: Comparison) -> str:
    """A table; below it sentences on units and adjustment, then on how the scores were taken and what is not compared."""
    heading, rows = _columns(comparison)
    lines = [markdown_row(map(in_markdown, heading)), markdown_row("---" for _ in heading)]
    lines += [markdown_row(map(in_markdown, row)) for row in rows]
    sentences = [*_sentences(comparison), "", *_conditions(comparison)]
    return "\n".join([*lines, "", *(in_markdown(sentence) for sentence in sentences)])


def as_latex(comparison: Comparison) -> str:
    r"""A `table*` with booktabs rules, the sentences in its caption and below it; it needs \usepackage{booktabs} and UTF-8."""
    heading, rows = _columns(comparison)
    wide = {"finding", AT_EQUAL}
    aligned = "".join(
        "p{2.4cm}" if name in wide else "r" if name in ("value", "difference", "p") else "l" for name in heading
    )
    body = [latex_row(map(in_latex, row)) for row in rows]
    return "\n".join(
        [
            r"% \usepackage{booktabs}",
            r"\begin{table*}",
            r"\centering\scriptsize\setlength{\tabcolsep}{3.5pt}",
            rf"\caption{{{in_latex(' '.join(_sentences(comparison)))}}}",
            rf"\begin{{tabular}}{{@{{}}{aligned}@{{}}}}",
            r"\toprule",
            latex_row(map(in_latex, heading)),
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\par\smallskip\raggedright",
            *(in_latex(sentence) for sentence in _conditions(comparison)),
            r"\end{table*}",
        ]
    )


def _columns(comparison: Comparison) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    trained = bool(comparison.arms[0].amounts)
    heading = (*HEADING[:-1], *((AT_EQUAL,) if trained else ()), HEADING[-1])
    return heading, list(_rows(comparison, trained))


def _rows(comparison: Comparison, trained: bool) -> Iterator[tuple[str, ...]]:
    for table in comparison.tables:
        remarks = remarks_of(table)
        names = (table.task, f"{table.metric} ({remarks})" if remarks else table.metric)
        yield (*names, comparison.baseline, f"{mean(table.baseline_values):.3f}", *[""] * (5 + trained))
        for difference in table.differences:
            axes = [_axes(difference)] if trained else []
            own = ("", "", difference.arm, f"{mean(difference.values):.3f}")
            ends = (p_words(difference), *axes, finding_words(difference))
            shown = estimates_of(difference)
            if not shown:
                yield (*own, signed(mean(difference.values) - mean(difference.baseline_values)), "", "", *ends)
            for place, estimate in enumerate(shown):
                middle = (signed(estimate.interval.value), interval_words(estimate), unit_words(estimate))
                yield (*own, *middle, *ends) if place == 0 else ("", "", "", "", *middle, *[""] * len(ends))


def _axes(difference: Difference) -> str:
    """`+0.127 / – / ?`: a dash where one arm spends none, a question mark where the difference is not known, a star where it is
    that of another task's curve."""
    found = [difference.axes[axis] for axis in AXES if axis in difference.axes]
    return " / ".join(
        SIGNS[at.how][0] if at.difference is None else f"{signed(at.difference)}{ELSEWHERE if at.on else ''}"
        for at in found
    )


def _sentences(comparison: Comparison) -> list[str]:
    margin = margin_words(comparison)
    return [
        f"Differences from {comparison.baseline}; {comparison.paired_on}; {family_words(comparison)}.",
        *([] if margin is None else [f"{margin[0].upper()}{margin[1:]}."]),
        unit_sentence(comparison),
        *(f"{words}." for words in _pairs(comparison)),
        *(f"{note[0].upper()}{note[1:]}." for note in comparison.notes),
        *(
            f"{sign}: {words}."
            for how, (sign, words) in SIGNS.items()
            if how in {at.how for at in _at_equal(comparison)}
        ),
        *(f"{ELSEWHERE}: read on {on}." for on in dict.fromkeys(at.on for at in _at_equal(comparison) if at.on)),
    ]


def _conditions(comparison: Comparison) -> list[str]:
    """How the scores of each task were taken, what the arms have spent, what is not compared and why."""
    of_tasks = dict.fromkeys((table.task, table.conditions) for table in comparison.tables)
    spent = [
        f"{arm.arm} {', '.join(_amount(axis, arm.amounts[axis]) for axis in AXIS_WORDS)}"
        for arm in comparison.arms
        if arm.amounts
    ]
    return [
        *(f"{task}: {conditions}." for task, conditions in of_tasks),
        *([f"{SPENT[0].upper()}{SPENT[1:]}: {'; '.join(spent)}."] if spent else []),
        *(f"Not compared: {what}: {why}." for what, why in comparison.left_out),
    ]


def _amount(axis: str, amount: float) -> str:
    """`384k generated tokens`; `1 m 28 s`."""
    return amount_words(axis, amount) if axis == "seconds" else f"{amount_words(axis, amount)} {AXIS_WORDS[axis]}"


def _at_equal(comparison: Comparison) -> list[AtEqual]:
    return [at for table in comparison.tables for d in table.differences for at in d.axes.values()]


def _pairs(comparison: Comparison) -> list[str]:
    """Which arms lack pairs, told once for a task and metric where several are compared."""
    found = []
    for table in comparison.tables:
        name = f"{title_of(table)}: " if len(comparison.tables) > 1 else ""
        words = (pairs_words(table, difference, comparison.baseline) for difference in table.differences)
        found += [f"{name}{one}" for one in words if one]
    return found


FORMS: dict[str, Callable[[Comparison], str]] = {"markdown": as_markdown, "latex": as_latex}
