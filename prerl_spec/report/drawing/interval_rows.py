"""Values with their bounds on a common axis, one row a value.

Names and values are text of the page, so that they wrap whole and keep their size; the drawing between them has no fixed width,
and its places are shares of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from prerl_spec.report.drawing.markup import Html, tag
from prerl_spec.report.drawing.plots import NUM_STYLES
from prerl_spec.report.formatting.scales import tick_labels, ticks

MARGIN = 0.06
"""Of the axis on both sides, so that a label below its end is whole."""
WIDEST_MARGIN = 3.0
"""In largest bounds: a margin beyond it is not drawn whole."""


@dataclass(frozen=True)
class Row:
    """A value and its bounds: `Row("dsrl", "over 3 seeds", 0.03, -0.01, 0.07, "+0.030 [−0.010, +0.070]", style=1)`.

    Rows of one `name` stand together below it; "" has no heading. `points` are the single values behind a mean.
    """

    name: str
    over: str
    value: float
    low: float
    high: float
    text: str
    style: int = 0
    points: tuple[float, ...] = ()


def interval_rows(title: str, rows: Sequence[Row], *, zero: bool = False, margin: float | None = None) -> Html:
    """The rows on an axis that includes every bound, with `zero` also 0, where a line stands then.

    What lies within ± `margin` is shaded. The axis includes it, unless the intervals would be small beside it: all is shaded
    then.
    """
    ends = [end for row in rows for end in (row.low, row.high, *row.points)] + ([0.0] if zero else [])
    if margin is not None and margin <= WIDEST_MARGIN * max(map(abs, ends)):
        ends += [-margin, margin]
    low, high = min(ends), max(ends)
    if low == high:
        reach = 1.0 if zero else 0.05
        low, high = low - reach, high + reach
    marks = ticks(low, high, about=4)

    def share(value: float) -> float:
        return 100 * (MARGIN + (value - low) / (high - low) * (1 - 2 * MARGIN))

    def place(value: float) -> str:
        return f"{share(value):.2f}%"

    behind = [] if margin is None else [_shade(share(-margin), share(margin))]
    behind += [tag("line", x1=place(mark), x2=place(mark), y1="0", y2="100%", class_="grid") for mark in marks]
    if zero:
        behind.append(tag("line", x1=place(0), x2=place(0), y1="0", y2="100%", class_="zero"))
    drawn = []
    for row, before in zip(rows, (None, *rows), strict=False):
        if row.name and (before is None or row.name != before.name):
            drawn.append(tag("p", row.name, class_="who"))
        drawn.append(_row(row, behind, place))
    labels = [
        tag("text", label, x=place(mark), y="13", text_anchor="middle")
        for mark, label in zip(marks, tick_labels(marks), strict=True)
    ]
    scale = tag(
        "div", tag("span"), tag("svg", *labels, class_="strip", aria_hidden="true"), tag("span"), class_="gap scale"
    )
    return tag("figure", tag("figcaption", title, class_="unit"), *drawn, scale, class_="gaps")


def _shade(left: float, right: float) -> Html:
    """From one place to another, as far as they are on the axis."""
    left, right = max(0.0, left), min(100.0, right)
    return tag("rect", x=f"{left:.2f}%", width=f"{right - left:.2f}%", y="0", height="100%", class_="margin")


def _row(row: Row, behind: Sequence[Html], place: Callable[[float], str]) -> Html:
    colour = f"c{row.style % NUM_STYLES}"
    left, right = place(row.low), place(row.high)
    drawing = tag(
        "svg",
        *behind,
        tag("line", x1=left, x2=right, y1="50%", y2="50%", class_=f"whisker {colour}"),
        *(tag("line", x1=end, x2=end, y1="30%", y2="70%", class_=f"whisker {colour}") for end in (left, right)),
        *(tag("circle", cx=place(point), cy="50%", r=2.5, class_=f"one {colour}") for point in row.points),
        tag("circle", cx=place(row.value), cy="50%", r=4, class_=f"dot {colour}"),
        class_="strip",
        role="img",
        aria_label=" ".join(filter(None, (row.name, row.over))) + f": {row.text}",
    )
    return tag("div", tag("span", row.over, class_="unit"), drawing, tag("span", row.text, class_="what"), class_="gap")
