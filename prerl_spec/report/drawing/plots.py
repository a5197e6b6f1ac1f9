"""Charts: curves over global steps or over k, and stacked shares.

Colours are CSS classes (c0, c1, ...), defined by the page's style sheet for light and dark mode. The curves of a chart also
differ in their dashes, so that colour is never the only difference.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from prerl_spec.report.drawing.frame import Frame, Scale, area, phases
from prerl_spec.report.drawing.markup import Html, tag
from prerl_spec.report.formatting.printable import printable
from prerl_spec.report.formatting.scales import Point, short, span_of, thinned
from prerl_spec.report.tables.run_tables import Stretch

NUM_STYLES = 8
"""Number of distinct colours (as in page.css)."""


@dataclass(frozen=True)
class Curve:
    """One line of a chart: `xs` are global steps, ascending; `style` selects colour and dash; `bounds` are the intervals of the
    values, or their spread, if any. `is_dense`: bounds at every step, which get a band and no dots."""

    label: str
    xs: tuple[int, ...]
    ys: tuple[float, ...]
    style: int = 0
    bounds: tuple[tuple[float, float], ...] = ()
    is_dense: bool = False

    @property
    def is_scored(self) -> bool:
        """Whether its values are scores: few, far apart, each with an interval."""
        return bool(self.bounds) and not self.is_dense

    def points(self) -> list[Point]:
        """The points to draw: thinned if there are many steps, except for scores."""
        if self.is_scored:
            rows = zip(self.xs, self.ys, self.bounds, strict=True)
            return [Point(x, y, low, high) for x, y, (low, high) in rows]
        return thinned(self.xs, self.ys, self.bounds)


def curve_chart(
    title: str,
    unit: str,
    curves: Sequence[Curve],
    stretches: Sequence[Stretch],
    include: Sequence[float] = (),
    *,
    over: str = "step",
    band: str = "95 % interval",
    scale: Scale = "linear",
) -> Html:
    """Curves over global steps, with phase names on top; every curve has at least one point.

    A curve of more than 240 steps is thinned: the line is the mean of each bin, the band spans its minimum to maximum,
    and the caption states it. `include` lists values that the axis must show (0 for a share). `over` names what the x axis
    counts, `band` what bounds are; "" leaves the caption out.
    """
    thin = [c.points() for c in curves]
    values = [v for points in thin for p in points for v in (p.low, p.high)]
    frame = Frame(_x_range(curves, scale), span_of(values, include=include), scale)
    inside = [s for s in stretches if s.last >= frame.x_range[0] and s.first <= frame.x_range[1]]
    bands: list[Html] = []
    lines: list[Html] = []
    dots: list[Html] = []
    for curve, points in zip(curves, thin, strict=True):
        pieces = _pieces(curve, points, inside)
        if curve.bounds or len(points) < len(curve.xs):
            bands += [_band(frame, piece, curve.style) for piece in pieces]
        paths = "".join(frame.path([(p.x, p.mean) for p in piece]) for piece in pieces)
        lines.append(tag("path", d=paths, class_=f"line c{curve.style}"))
        dots += _dots(frame, curve, points)
    drawn, names = phases(frame, inside)
    drawing = area(f"{title}: {_in_words(curves, over)}", frame, [], [*bands, *lines], [*drawn, *dots])
    hover = [_readings(c.label, [(p.x, short(p.mean)) for p in ps]) for c, ps in zip(curves, thin, strict=True)]
    keys = legend([(c.label, f"c{c.style}", _first_and_last(c)) for c in curves])
    return _figure(title, unit, [keys, names, drawing], _caption(curves, thin, band), hover, frame, over)


def stacked_chart(
    title: str, unit: str, layers: Sequence[Curve], stretches: Sequence[Stretch], classes: Sequence[str]
) -> Html:
    """Stacked shares that sum to 1, the first at the bottom; all layers have the same steps. Above 240 steps, bin means."""
    frame = Frame(_x_range(layers, "linear"), (0.0, 1.0))
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
        areas.append(tag("path", d=frame.path([*upper, *lower[::-1]]) + "Z", class_=f"area {name}"))
        floor = top
    note = "shares are means of each bin" if len(thin[0]) < len(layers[0].xs) else None
    hover = [_readings(c.label, [(p.x, f"{p.mean:.1%}") for p in ps]) for c, ps in zip(layers, thin, strict=True)]
    drawn, names = phases(frame, inside)
    drawing = area(f"{title}: {_in_words(layers)}", frame, [], areas, drawn)
    keys = legend([(c.label, name, f"{c.ys[0]:.0%} → {c.ys[-1]:.0%}") for c, name in zip(layers, classes, strict=True)])
    return _figure(title, unit, [keys, names, drawing], note, hover, frame)


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
    title: str,
    unit: str,
    parts: Sequence[Html | None],
    note: str | None,
    hover: object,
    frame: Frame,
    over: str = "step",
) -> Html:
    heading = tag("figcaption", tag("strong", title), " ", tag("span", unit, class_="unit"))
    return tag(
        "figure",
        heading,
        *parts,
        tag("p", note or "", class_="readout"),
        class_="chart",
        data_curves=json.dumps(hover),
        data_steps=json.dumps(frame.x_range),
        data_scale=frame.scale,
        data_over=over,
    )


def _readings(label: str, values: Sequence[tuple[float, str]]) -> list[object]:
    # Escaped before JSON encoding: escaping afterwards would turn a `\x7f` into invalid JSON.
    return [printable(label), [[round(x, 1), value] for x, value in values]]


def _caption(curves: Sequence[Curve], thin: Sequence[Sequence[Point]], band: str) -> str | None:
    if any(c.bounds for c in curves):
        return f"band: {band}" if band else None
    binned = any(len(points) < len(c.xs) for c, points in zip(curves, thin, strict=True))
    return "line: mean of each bin; band: minimum to maximum" if binned else None


def _pieces(curve: Curve, points: Sequence[Point], stretches: Sequence[Stretch]) -> list[list[Point]]:
    """The points that a line connects: not across a phase that did not measure this, unless they are scores."""
    pieces: list[list[Point]] = [[points[0]]]
    for before, after in pairwise(points):
        if not curve.is_scored and any(before.x < s.first and s.last < after.x for s in stretches):
            pieces.append([])
        pieces[-1].append(after)
    return pieces


def _dots(frame: Frame, curve: Curve, points: Sequence[Point]) -> list[Html]:
    """Dots mark single points, which have no line, and scores, which are far apart."""
    marked = points if curve.is_scored or len(points) == 1 else ()
    return [tag("circle", cx=frame.percent(p.x), cy=frame.y(p.mean), r=3, class_=f"dot c{curve.style}") for p in marked]


def _band(frame: Frame, points: Sequence[Point], style: int) -> Html:
    upper = [(p.x, p.high) for p in points]
    lower = [(p.x, p.low) for p in reversed(points)]
    return tag("path", d=frame.path([*upper, *lower]) + "Z", class_=f"envelope c{style}")


def _x_range(curves: Sequence[Curve], scale: Scale) -> tuple[float, float]:
    first, last = min(c.xs[0] for c in curves), max(c.xs[-1] for c in curves)
    return (first / 1.05, last * 1.05) if scale == "log2" else (first - 0.5, last + 0.5)


def _first_and_last(curve: Curve) -> str:
    return f"{short(curve.ys[0])} → {short(curve.ys[-1])}"


def _in_words(curves: Sequence[Curve], over: str = "step") -> str:
    counted = over if len(over) == 1 else f"{over.removesuffix('s')}s"
    steps = f"{counted} {min(c.xs[0] for c in curves)} to {max(c.xs[-1] for c in curves)}"
    return "; ".join([steps, *(f"{c.label} from {short(c.ys[0])} to {short(c.ys[-1])}" for c in curves)])
