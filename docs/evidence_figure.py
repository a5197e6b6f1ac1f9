"""The figure of docs/evidence.md: the held-out curve of each arm over generated tokens, a panel a study, as SVG without a style
sheet. Panels stand one below the other: beside each other a phone would shrink their text to a third."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from prerl_spec.report.drawing.markup import Html, tag
from prerl_spec.report.formatting.scales import short, ticks

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 400, 230, 40, 12, 30, 42
LEGEND, BETWEEN_ARMS = 22, 88
STYLES = (("#0060a8", None), ("#b34a00", "7 3"), ("#007a5a", "2 2.5"), ("#8a2f9e", "9 3 2 3"))
"""Colours and dashes of the report's first four curves: no two arms differ by colour alone."""


class Place(NamedTuple):
    """Mean over seeds at one step, and its 95 % interval."""

    tokens: float
    value: float
    low: float
    high: float


class Panel(NamedTuple):
    """A study: its title, and arm -> places in the order of steps."""

    title: str
    curves: Mapping[str, Sequence[Place]]


def figure(panels: Sequence[Panel]) -> str:
    """All panels on the same axes, with one legend."""
    places = [place for panel in panels for curve in panel.curves.values() for place in curve]
    scale = _Scale(
        max(place.tokens for place in places), min(place.low for place in places), max(place.high for place in places)
    )
    size = {"width": WIDTH, "height": LEGEND + HEIGHT * len(panels)}
    children = [_panel(panel, scale, LEGEND + HEIGHT * index) for index, panel in enumerate(panels)]
    words = "; ".join(
        f"{panel.title}: {', '.join(f'{arm} ends at {curve[-1].value:.3f}' for arm, curve in panel.curves.items())}"
        for panel in panels
    )
    return (
        str(
            tag(
                "svg",
                tag("title", f"Held-out score of each arm over generated tokens. {words}"),
                tag("rect", fill="white", **size),
                *_legend(list(panels[0].curves)),
                *children,
                xmlns="http://www.w3.org/2000/svg",
                viewBox=f"0 0 {size['width']} {size['height']}",
                role="img",
                font_family="sans-serif",
                font_size=13,
                **size,
            )
        )
        + "\n"
    )


class _Scale(NamedTuple):
    tokens: float
    low: float
    high: float

    def x(self, tokens: float) -> float:
        return LEFT + tokens / self.tokens * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (value - self.low) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)


def _legend(arms: Sequence[str]) -> list[Html]:
    found = []
    for index, (arm, (colour, dashes)) in enumerate(zip(arms, STYLES, strict=True)):
        left = LEFT + BETWEEN_ARMS * index
        line = tag("path", d=f"M{left} 12H{left + 24}", stroke=colour, stroke_width=2, stroke_dasharray=dashes)
        found += [line, _text(arm, left + 30, 16, "start", colour)]
    return found


def _panel(panel: Panel, scale: _Scale, top: float) -> Html:
    right, floor = WIDTH - RIGHT, HEIGHT - BOTTOM
    inside = [_text(panel.title, LEFT, TOP - 10, "start")]
    for value in ticks(scale.low, scale.high):
        at = scale.y(value)
        inside.append(tag("path", d=f"M{LEFT} {at:.1f}H{right}", stroke="#ddd"))
        inside.append(_text(short(value), LEFT - 5, at + 4, "end"))
    inside += [
        _text(f"{tokens / 1000:.0f}k" if tokens else "0", scale.x(tokens), floor + 17)
        for tokens in ticks(0, scale.tokens)
    ]
    inside.append(_text("generated tokens", (LEFT + right) / 2, floor + 35))
    bands, lines = [], []
    for curve, (colour, dashes) in zip(panel.curves.values(), STYLES, strict=True):
        upper = [(place.tokens, place.high) for place in curve]
        lower = [(place.tokens, place.low) for place in reversed(curve)]
        middle = _path(scale, [(place.tokens, place.value) for place in curve])
        bands.append(tag("path", d=_path(scale, upper + lower) + "Z", fill=colour, opacity=0.15))
        lines.append(tag("path", d=middle, stroke=colour, fill="none", stroke_width=2, stroke_dasharray=dashes))
    return tag("g", *inside, *bands, *lines, transform=f"translate(0 {top})")


def _path(scale: _Scale, places: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{scale.x(tokens):.1f} {scale.y(value):.1f}" for tokens, value in places)


def _text(content: str, x: float, y: float, anchor: str = "middle", colour: str = "black") -> Html:
    return tag("text", content, x=x, y=y, text_anchor=anchor, fill=colour)
