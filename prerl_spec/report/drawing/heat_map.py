"""A heat map: one strip a place of a run, one column a question, the colour the share of right responses."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from prerl_spec.report.drawing.markup import Html, tag
from prerl_spec.report.formatting.printable import printable

NUM_INNER = 7
"""Shades of shares between 0 and 1, which have shades of their own: never and always right are no rounding."""


@dataclass(frozen=True)
class Strip:
    """One row of the map: `Strip("prune", (0.0, 0.5, None))`; None where a question was not asked."""

    label: str
    share_Q: tuple[float | None, ...]


def heat_map(title: str, unit: str, strips: Sequence[Strip], rows_Q: Sequence[int], words: str) -> Html:
    """The strips, whose columns are the same questions; `rows_Q` are their rows in the task's data, `words` the map in text."""
    drawn = []
    for strip in strips:
        drawing = tag(
            "svg",
            *_columns(strip.share_Q),
            viewBox=f"0 0 {len(rows_Q)} 1",
            preserveAspectRatio="none",
            class_="heat-strip",
            role="img",
            aria_label=f"{title}, {strip.label}: {_counts(strip.share_Q)}",
        )
        drawn.append(tag("div", tag("span", strip.label), drawing, class_="heat-row"))
    shares = [[None if share is None else round(share, 3) for share in strip.share_Q] for strip in strips]
    return tag(
        "figure",
        tag("figcaption", tag("strong", title), " ", tag("span", unit, class_="unit")),
        _key(),
        *drawn,
        tag("p", words, class_="readout"),
        class_="heat",
        data_labels=json.dumps([printable(strip.label) for strip in strips]),
        data_rows=json.dumps(list(rows_Q), separators=(",", ":")),
        data_shares=json.dumps(shares, separators=(",", ":")),
    )


def shade(share: float) -> int:
    """0 for never right, NUM_INNER + 1 for always, 1 to NUM_INNER between them."""
    if share in (0.0, 1.0):
        return int(share) * (NUM_INNER + 1)
    return min(NUM_INNER, 1 + int(share * NUM_INNER))


def _columns(share_Q: Sequence[float | None]) -> list[Html]:
    """One path a shade; neighbours of the same shade are one rectangle."""
    pieces: dict[int, list[str]] = {}
    start = 0
    shades = [None if share is None else shade(share) for share in share_Q]
    for place, level in enumerate(shades):
        if place + 1 == len(shades) or shades[place + 1] != level:
            if level:
                pieces.setdefault(level, []).append(f"M{start} 0H{place + 1}V1H{start}Z")
            start = place + 1
    return [tag("path", d="".join(paths), class_=f"heat h{level}") for level, paths in sorted(pieces.items())]


def _counts(share_Q: Sequence[float | None]) -> str:
    known = [share for share in share_Q if share is not None]
    always, never = sum(share == 1 for share in known), sum(share == 0 for share in known)
    return f"{len(known)} questions, {always} always right, {never} never"


def _key() -> Html:
    boxes = [
        tag("rect", x=level * 14, y=0, width=14, height=10, class_=f"heat h{level}") for level in range(NUM_INNER + 2)
    ]
    width = 14 * (NUM_INNER + 2)
    drawing = tag(
        "svg", *boxes, class_="key shades", viewBox=f"0 0 {width} 10", width=width, height=10, aria_hidden="true"
    )
    return tag("p", "never right ", drawing, " always right", class_="legend")
