"""The plotting area of a chart: places as shares of its width, heights in pixels, axes, and names of phases.

A chart has no fixed width: text and lines keep their size from a phone to a wide page, and only what they describe is
stretched.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from prerl_spec.report.drawing.markup import Html, tag
from prerl_spec.report.formatting.scales import tick_labels, ticks
from prerl_spec.report.tables.run_tables import Stretch

HEIGHT, TOP, BOTTOM = 220, 22, 24
"""Pixels: of the whole area, and what phase names and step numbers take of it."""
NARROW = 250
"""Pixels of the area on a page of 390: names of phases must not touch each other there."""
UNITS = 1000
"""Width of the area in the units of its paths, which are stretched to the width that it has."""

Scale = Literal["linear", "log2"]


@dataclass(frozen=True)
class Frame:
    """Maps x (global steps; with "log2", powers of two) and values to places in the area."""

    x_range: tuple[float, float]
    y_range: tuple[float, float]
    scale: Scale = "linear"

    def share(self, x: float) -> float:
        """The place of x as a share of the width: 0 at the left, 1 at the right."""
        low, high, at = (math.log2(v) if self.scale == "log2" else v for v in (*self.x_range, x))
        return (at - low) / (high - low)

    def percent(self, x: float) -> str:
        return f"{100 * self.share(x):.2f}%"

    def y(self, value: float) -> float:
        """Pixels from the top."""
        low, high = self.y_range
        return HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    def path(self, places: Sequence[tuple[float, float]]) -> str:
        return "M" + "L".join(f"{self.share(x) * UNITS:.1f} {self.y(y):.1f}" for x, y in places)

    def x_ticks(self) -> list[float]:
        """Whole numbers; powers of two on a logarithmic axis."""
        low, high = self.x_range
        if self.scale == "log2":
            return [float(2**n) for n in range(math.ceil(math.log2(low)), math.floor(math.log2(high)) + 1)]
        return [x for x in ticks(low, high, about=4) if x == int(x)]


def area(words: str, frame: Frame, behind: Sequence[Html], paths: Sequence[Html], before: Sequence[Html]) -> Html:
    """The drawing with its axes: `paths` are stretched with the width, what stands `behind` and `before` them is not."""
    stretched = tag(
        "svg",
        *paths,
        viewBox=f"0 0 {UNITS} {HEIGHT}",
        preserveAspectRatio="none",
        width="100%",
        height=HEIGHT,
        class_="stretched",
        aria_hidden="true",
    )
    field = tag(
        "svg",
        *_grid(frame),
        *behind,
        stretched,
        *before,
        *_x_labels(frame),
        class_="field",
        role="img",
        aria_label=words,
    )
    return tag("div", tag("svg", *_y_labels(frame), class_="values", aria_hidden="true"), field, class_="area-of")


def phases(frame: Frame, stretches: Sequence[Stretch]) -> tuple[list[Html], Html | None]:
    """A line at the start of each phase and its name on top; where the names do not fit on a narrow page, numbers there, and
    a line that says which is which."""
    first, last = frame.x_range
    drawn = [
        tag("line", x1=at, x2=at, y1=TOP - 8, y2=HEIGHT - BOTTOM, class_="boundary")
        for s in stretches
        if s.first - 0.5 > first and (at := frame.percent(s.first - 0.5))
    ]
    names = [s.phase for s in stretches]
    shares = [frame.share((max(s.first - 0.5, first) + min(s.last + 0.5, last)) / 2) for s in stretches]
    if (places := placed(shares, names)) is not None:
        return [*drawn, *_named(names, places)], None
    numbers = [str(n) for n in range(1, len(names) + 1)]
    places = placed(shares, numbers)
    key = tag("p", ", ".join(f"{n} {name}" for n, name in zip(numbers, names, strict=True)), class_="unit phases")
    return [*drawn, *(_named(numbers, places) if places is not None else ())], key


def placed(shares: Sequence[float], names: Sequence[str], gap: float = 8.0) -> list[float] | None:
    """The centres of names, as shares of the width, as near to these as they can stand on a narrow page without touching
    each other or leaving it; None where they do not fit."""
    widths = [_width(name) for name in names]
    lefts: list[float] = []
    free = 0.0
    for share, width in zip(shares, widths, strict=True):
        lefts.append(max(free, share * NARROW - width / 2))
        free = lefts[-1] + width + gap
    limit = float(NARROW)
    for index in reversed(range(len(lefts))):
        lefts[index] = min(lefts[index], limit - widths[index])
        limit = lefts[index] - gap
    if lefts and lefts[0] < 0:
        return None
    return [(left + width / 2) / NARROW for left, width in zip(lefts, widths, strict=True)]


def _named(names: Sequence[str], places: Sequence[float]) -> list[Html]:
    return [
        tag("text", name, x=f"{100 * place:.2f}%", y=TOP - 9, text_anchor="middle", class_="phase")
        for name, place in zip(names, places, strict=True)
    ]


def _grid(frame: Frame) -> list[Html]:
    heights = [frame.y(value) for value in ticks(*frame.y_range)]
    return [tag("line", x1="0", x2="100%", y1=y, y2=y, class_="grid") for y in heights]


def _y_labels(frame: Frame) -> list[Html]:
    values = ticks(*frame.y_range)
    labels = zip(values, tick_labels(values), strict=True)
    return [tag("text", label, x="100%", y=frame.y(value) + 4, text_anchor="end") for value, label in labels]


def _x_labels(frame: Frame) -> list[Html]:
    steps = frame.x_ticks()
    labels = zip(steps, tick_labels(steps), strict=True)
    return [tag("text", label, x=frame.percent(x), y=HEIGHT - 6, text_anchor="middle") for x, label in labels]


def _width(name: str) -> float:
    """Pixels that a name takes, at 6.6 a letter."""
    return 6.6 * len(name)
