"""The figure of scaling.py: a panel a curve, microseconds a token over a logarithmic axis, as SVG without a style sheet."""

import math
from typing import Any

from prerl_spec.report.drawing.markup import Html, tag

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 290, 210, 40, 26, 40
COLOURS = {"sample": "#0072b2", "train": "#d55e00"}
"""Told apart by every eye (Okabe and Ito), and by their dashes."""
DASHES = {"sample": None, "train": "5 3"}


def draw(found: dict[str, list[dict[str, Any]]]) -> str:
    panels = [_panel(name, rows, index * WIDTH) for index, (name, rows) in enumerate(found.items())]
    size = {"width": WIDTH * len(found), "height": HEIGHT}
    box = f"0 0 {size['width']} {size['height']}"
    background = tag("rect", fill="white", **size)
    return str(
        tag(
            "svg", background, *panels, xmlns="http://www.w3.org/2000/svg", viewBox=box, font_family="sans-serif",
            font_size=11, **size,
        )
    ) + "\n"  # fmt: skip


def _panel(name: str, rows: list[dict[str, Any]], offset: int) -> Html:
    """One curve's panel: medians as lines, ranges as bars."""
    xs = [_x_of(name, row) for row in rows]
    ceiling = max(row[stage]["high"] for row in rows for stage in COLOURS) * 1.1
    low, high = math.log(xs[0]), math.log(xs[-1])

    def x(value: float) -> float:
        return offset + LEFT + (math.log(value) - low) / (high - low) * (WIDTH - LEFT - 20)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - value / ceiling * (HEIGHT - TOP - BOTTOM)

    def text(content: str, at_x: float, at_y: float, anchor: str = "middle", colour: str = "black") -> Html:
        return tag("text", content, x=at_x, y=at_y, text_anchor=anchor, fill=colour)

    step = 10 ** math.floor(math.log10(ceiling / 2))
    step = next(s for s in (step, 2 * step, 5 * step) if ceiling / s <= 6)
    inside = []
    for tick in range(int(ceiling / step) + 1):
        value = tick * step
        line = tag("path", d=f"M{x(xs[0]):.1f} {y(value):.1f}H{x(xs[-1]):.1f}", stroke="#ddd")
        inside += [line, text(f"{value:g}", x(xs[0]) - 6, y(value) + 4, "end")]
    for value in xs:
        inside.append(text(f"{value:.3g}", x(value), HEIGHT - BOTTOM + 16))
    inside.append(text(name, x(xs[0] ** 0.5 * xs[-1] ** 0.5), HEIGHT - 8))
    for index, (stage, colour) in enumerate(COLOURS.items()):
        places = [(x(value), row[stage]) for value, row in zip(xs, rows, strict=True)]
        path = "M" + "L".join(f"{at:.1f} {y(s['median']):.1f}" for at, s in places)
        inside.append(tag("path", d=path, stroke=colour, fill="none", stroke_width=2, stroke_dasharray=DASHES[stage]))
        for at, s in places:
            inside.append(tag("path", d=f"M{at:.1f} {y(s['low']):.1f}V{y(s['high']):.1f}", stroke=colour))
            inside.append(tag("circle", cx=at, cy=y(s["median"]), r=2.5, fill=colour))
        inside.append(text(f"{stage}, µs a token", offset + LEFT + 118 * index, 14, "start", colour))
    return tag("g", *inside)


def _x_of(name: str, row: dict[str, Any]) -> float:
    return row["longest"] / row["mean_response"] if "/" in name else float(row["setting"])
