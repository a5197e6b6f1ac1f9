"""Interval plots: scores with their 95 % intervals, one row per phase (and run), on a common axis."""

from collections.abc import Sequence
from dataclasses import dataclass

from prerl_spec.report.drawing.markup import Html, tag
from prerl_spec.report.formatting.scales import tick_labels, ticks

WIDTH, ROW, TOP, BOTTOM = 440, 26, 8, 22
LABELS, VALUES = 118, 128
"""Width of the row labels on the left and of "0.638 [0.61, 0.67]" on the right."""


@dataclass(frozen=True)
class Whisker:
    """One row: a value and its bounds; `style` selects the colour."""

    label: str
    value: float
    low: float
    high: float
    style: int = 0


def whisker_chart(title: str, rows: Sequence[Whisker]) -> Html:
    """Dots and whiskers on a common axis that includes every bound; the axis of shares stays within [0, 1]."""
    low, high = _range(rows)
    height = TOP + ROW * len(rows) + BOTTOM

    def x(value: float) -> float:
        return LABELS + (value - low) / (high - low) * (WIDTH - LABELS - VALUES - 14)

    drawn: list[Html] = []
    marks = ticks(low, high, about=3)
    for value, label in zip(marks, tick_labels(marks), strict=True):
        drawn.append(tag("path", d=f"M{x(value):.1f} {TOP}V{height - BOTTOM}", class_="grid"))
        drawn.append(tag("text", label, x=x(value), y=height - 6, text_anchor="middle"))
    for index, row in enumerate(rows):
        y = TOP + ROW * (index + 0.5)
        text = f"{row.value:.3f} [{row.low:.3f}, {row.high:.3f}]"
        ends = f"M{x(row.low):.1f} {y - 4:.1f}v8m0-4H{x(row.high):.1f}m0-4v8"
        drawn += [
            tag("text", _fitting(row.label), x=LABELS - 10, y=y + 4, text_anchor="end", class_="row"),
            tag("path", d=ends, class_=f"whisker c{row.style}"),
            tag("circle", cx=x(row.value), cy=y, r=4, class_=f"dot c{row.style}"),
            tag("text", text, x=WIDTH - VALUES, y=y + 4, class_="row"),
        ]
    words = "; ".join(f"{r.label} {r.value:.3f}, 95 % interval {r.low:.3f} to {r.high:.3f}" for r in rows)
    return tag("svg", *drawn, viewBox=f"0 0 {WIDTH} {height}", role="img", aria_label=f"{title}: {words}")


def _range(rows: Sequence[Whisker]) -> tuple[float, float]:
    low, high = min(r.low for r in rows), max(r.high for r in rows)
    margin = max((high - low) * 0.08, 0.005)
    share = low >= 0 and high <= 1
    return (max(0.0, low - margin), min(1.0, high + margin)) if share else (low - margin, high + margin)


def _fitting(label: str) -> str:
    return label if len(label) <= 17 else label[:16] + "…"
