"""A table whose cells know their column: on a narrow page each row is a block of lines, so that nothing is cut off."""

from collections.abc import Collection, Sequence

from prerl_spec.report.drawing.markup import Child, Html, tag


def labelled_table(
    name: str,
    head: Sequence[str],
    rows: Sequence[Sequence[Child]],
    *,
    wrapped: Collection[str] = (),
    total: bool = False,
    flowing: bool = False,
) -> Html:
    """`rows` begin with their headings; columns in `wrapped` hold words that may break. `total`: the last row is a sum.
    `flowing`: on a narrow page short cells stand beside each other, as many as fit."""
    body = []
    for number, (first, *cells) in enumerate(rows, start=1):
        own = (
            tag("td", cell, data_label=label, class_="words" if label in wrapped else None)
            for label, cell in zip(head[1:], cells, strict=True)
        )
        is_total = total and number == len(rows)
        body.append(tag("tr", tag("th", first, scope="row"), *own, class_="total" if is_total else None))
    heading = tag(
        "tr", *(tag("th", label, scope="col", class_="words" if label in wrapped else None) for label in head)
    )
    way = "labelled flowing" if flowing else "labelled"
    return tag("div", tag("table", heading, *body, class_=way, aria_label=name), class_="scroll")
