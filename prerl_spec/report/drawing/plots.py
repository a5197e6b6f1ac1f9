"""SVG charts: curves over global steps, and stacked shares.

Colours are CSS classes (c0, c1, ...), defined by the page's style sheet for light and dark mode. The curves of a chart also
differ in their dashes, so that colour is never the only difference.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from prerl_spec.report.drawing.markup import Html, join, tag
from prerl_spec.report.formatting.printable import printable
from prerl_spec.report.formatting.scales import Point, short, span_of, thinned, tick_labels, ticks
from prerl_spec.report.tables.run_tables import Stretch

WIDTH, HEIGHT = 440, 220
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 22, 24
NUM_STYLES = 8
"""Number of distinct colours (as in page.css)."""


@dataclass(frozen=True)
class Curve:
    """One line of a chart: `xs` are global steps, ascending; `style` selects colour and dash; `bounds` are the 95 %
    intervals of the values, if any."""

    label: str
    xs: tuple[int, ...]
    ys: tuple[float, ...]
    style: int = 0
    bounds: tuple[tuple[float, float], ...] = ()

    def points(self) -> list[Point]:
        """The points to draw: thinned if there are many steps, except for values with intervals."""
        if self.bounds:
            rows = zip(self.xs, self.ys, self.bounds, strict=True)
            return [Point(x, y, low, high) for x, y, (low, high) in rows]
        return thinned(self.xs, self.ys)


@dataclass(frozen=True)
class Frame:
    """The plotting area: maps global steps and values to SVG units."""

    x_range: tuple[float, float]
    y_range: tuple[float, float]

    def x(self, step: float) -> float:
        low, high = self.x_range
        return LEFT + (step - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        low, high = self.y_range
        return HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM)


def curve_chart(
    title: str,
    unit: str,
    curves: Sequence[Curve],
    stretches: Sequence[Stretch],
    include: Sequence[float] = (),
    *,
    over: str = "step",
    band: str = "95 % interval",
) -> Html:
    """Curves over global steps, with phase names on top; every curve has at least one point.

    A curve of more than 240 steps is thinned: the line is the mean of each bin, the band spans its minimum to maximum,
    and the caption states it. `include` lists values that the axis must show (0 for a share). `over` names what the x axis
    counts, `band` what bounds are; "" leaves the caption out.
    """
    thin = [c.points() for c in curves]
    values = [v for points in thin for p in points for v in (p.low, p.high)]
    frame = Frame(_x_range(curves), span_of(values, include=include))
    inside = [s for s in stretches if s.last >= frame.x_range[0] and s.first <= frame.x_range[1]]
    lines = [
        join(
            [
                _band(frame, points, c.style) if c.bounds or len(points) < len(c.xs) else None,
                *_line(frame, c, points, inside),
            ]
        )
        for c, points in zip(curves, thin, strict=True)
    ]
    binned = any(len(points) < len(c.xs) for c, points in zip(curves, thin, strict=True))
    note = "line: mean of each bin; band: minimum to maximum" if binned else None
    if any(c.bounds for c in curves):
        note = f"band: {band}" if band else None
    hover = [_readings(c.label, [(p.x, short(p.mean)) for p in ps]) for c, ps in zip(curves, thin, strict=True)]
    drawing = _svg(f"{title}: {_in_words(curves, over)}", [*_axes(frame), *_phases(frame, inside), *lines])
    keys = legend([(c.label, f"c{c.style}", _first_and_last(c)) for c in curves])
    return _figure(title, unit, keys, drawing, note, hover, frame, over)


def stacked_chart(
    title: str, unit: str, layers: Sequence[Curve], stretches: Sequence[Stretch], classes: Sequence[str]
) -> Html:
    """Stacked shares that sum to 1, the first at the bottom; all layers have the same steps. Above 240 steps, bin means."""
    frame = Frame(_x_range(layers), (0.0, 1.0))
    inside = [s for s in stretches if s.last >= frame.x_range[0] and s.first <= frame.x_range[1]]
    thin = [c.points() for c in layers]
    floor = [0.0] * len(thin[0])
    areas: list[Html] = []
    for points, name in zip(thin, classes, strict=True):
        top = [f + p.mean for f, p in zip(floor, points, strict=True)]
        xs = [p.x for p in points]
        # Half a step is added on both sides, so that a phase of one step is visible as a bar.
        edge = [xs[0] - 0.5, *xs, xs[-1] + 0.5]
        upper = list(zip(edge, [top[0], *top, top[-1]], strict=True))
        lower = list(zip(edge, [floor[0], *floor, floor[-1]], strict=True))
        areas.append(tag("path", d=_path(frame, [*upper, *lower[::-1]]) + "Z", class_=f"area {name}"))
        floor = top
    note = "shares are means of each bin" if len(thin[0]) < len(layers[0].xs) else None
    hover = [_readings(c.label, [(p.x, f"{p.mean:.1%}") for p in ps]) for c, ps in zip(layers, thin, strict=True)]
    drawing = _svg(f"{title}: {_in_words(layers)}", [*areas, *_axes(frame), *_phases(frame, inside)])
    keys = legend([(c.label, name, f"{c.ys[0]:.0%} → {c.ys[-1]:.0%}") for c, name in zip(layers, classes, strict=True)])
    return _figure(title, unit, keys, drawing, note, hover, frame)


def legend(entries: Sequence[tuple[str, str, str]]) -> Html:
    """A legend of (label, class, values); each key shows the class's colour and dash."""
    keys = []
    for label, name, value in entries:
        mark = tag("path", d="M0 5H22", class_=f"line {name}") if name.startswith("c") else None
        box = None if mark else tag("rect", width=22, height=10, class_=f"area {name}")
        key = tag("svg", mark, box, class_="key", viewBox="0 0 22 10", width=22, height=10, aria_hidden="true")
        keys.append(tag("span", key, " ", label, " ", tag("b", value) if value else None, class_="entry"))
    return tag("p", *keys, class_="legend")


def _figure(
    title: str, unit: str, keys: Html, drawing: Html, note: str | None, hover: object, frame: Frame, over: str = "step"
) -> Html:
    heading = tag("figcaption", tag("strong", title), " ", tag("span", unit, class_="unit"))
    return tag(
        "figure",
        heading,
        keys,
        drawing,
        tag("p", note or "", class_="readout"),
        class_="chart",
        data_curves=json.dumps(hover),
        data_steps=json.dumps(frame.x_range),
        data_over=over,
        data_margins=json.dumps([LEFT, RIGHT, TOP, BOTTOM]),
    )


def _readings(label: str, values: Sequence[tuple[float, str]]) -> list[object]:
    # Escaped before JSON encoding: escaping afterwards would turn a `\x7f` into invalid JSON.
    return [printable(label), [[round(x, 1), value] for x, value in values]]


def _svg(words: str, children: Sequence[Html]) -> Html:
    return tag("svg", *children, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=words)


def _axes(frame: Frame) -> list[Html]:
    drawn = []
    values = ticks(*frame.y_range)
    for value, label in zip(values, tick_labels(values), strict=True):
        y = frame.y(value)
        drawn.append(tag("path", d=f"M{LEFT} {y:.1f}H{WIDTH - RIGHT}", class_="grid"))
        drawn.append(tag("text", label, x=LEFT - 6, y=y + 4, text_anchor="end"))
    steps = [step for step in ticks(*frame.x_range, about=5) if step == int(step)]
    for step, label in zip(steps, tick_labels(steps), strict=True):
        drawn.append(tag("text", label, x=frame.x(step), y=HEIGHT - 6, text_anchor="middle"))
    return drawn


def _phases(frame: Frame, stretches: Sequence[Stretch]) -> list[Html]:
    """A line at the start of each phase, and its name on top; names are moved apart if phases are narrow."""
    first, last = frame.x_range
    drawn = [
        tag("path", d=f"M{frame.x(s.first - 0.5):.1f} {TOP - 8}V{HEIGHT - BOTTOM}", class_="boundary")
        for s in stretches
        if s.first - 0.5 > first
    ]
    middles = [frame.x((max(s.first - 0.5, first) + min(s.last + 0.5, last)) / 2) for s in stretches]
    taken = 0.0
    for stretch, left in zip(stretches, moved_apart(middles, [_width(s.phase) for s in stretches]), strict=True):
        # A name that would still overlap the previous one is omitted.
        if left >= taken:
            drawn.append(tag("text", stretch.phase, x=left, y=TOP - 9, class_="phase"))
            taken = left + _width(stretch.phase)
    return drawn


def moved_apart(middles: Sequence[float], widths: Sequence[float], gap: float = 8.0) -> list[float]:
    """Left ends of labels to be centred at these positions: moved right until none overlaps the one before, then left
    until the last is within the chart."""
    lefts: list[float] = []
    free = float(LEFT)
    for middle, width in zip(middles, widths, strict=True):
        lefts.append(max(free, middle - width / 2))
        free = lefts[-1] + width + gap
    limit = float(WIDTH)
    for index in reversed(range(len(lefts))):
        lefts[index] = min(lefts[index], limit - widths[index])
        limit = lefts[index] - gap
    return lefts


def _width(name: str) -> float:
    return 6.6 * len(name)


def _line(frame: Frame, curve: Curve, points: Sequence[Point], stretches: Sequence[Stretch]) -> list[Html]:
    # Dots mark single points, which have no line, and scores, which are far apart.
    dots = points if curve.bounds or len(points) == 1 else ()
    drawn = [tag("circle", cx=frame.x(p.x), cy=frame.y(p.mean), r=3, class_=f"dot c{curve.style}") for p in dots]
    pieces: list[list[Point]] = [[points[0]]]
    for before, after in pairwise(points):
        # A phase without this metric lies between: do not connect the line across it.
        if not curve.bounds and any(before.x < s.first and s.last < after.x for s in stretches):
            pieces.append([])
        pieces[-1].append(after)
    paths = "".join(_path(frame, [(p.x, p.mean) for p in piece]) for piece in pieces)
    return [tag("path", d=paths, class_=f"line c{curve.style}"), *drawn]


def _band(frame: Frame, points: Sequence[Point], style: int) -> Html:
    upper = [(p.x, p.high) for p in points]
    lower = [(p.x, p.low) for p in reversed(points)]
    return tag("path", d=_path(frame, [*upper, *lower]) + "Z", class_=f"envelope c{style}")


def _path(frame: Frame, places: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{frame.x(x):.1f} {frame.y(y):.1f}" for x, y in places)


def _x_range(curves: Sequence[Curve]) -> tuple[float, float]:
    return min(c.xs[0] for c in curves) - 0.5, max(c.xs[-1] for c in curves) + 0.5


def _first_and_last(curve: Curve) -> str:
    return f"{short(curve.ys[0])} → {short(curve.ys[-1])}"


def _in_words(curves: Sequence[Curve], over: str = "step") -> str:
    steps = f"{over.removesuffix('s')}s {min(c.xs[0] for c in curves)} to {max(c.xs[-1] for c in curves)}"
    return "; ".join([steps, *(f"{c.label} from {short(c.ys[0])} to {short(c.ys[-1])}" for c in curves)])
