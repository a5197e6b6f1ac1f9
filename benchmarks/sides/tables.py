"""The table of a side by side measurement, and its place in docs/performance.md."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

HEAD = (
    "vocabulary, length", "TRL", "before", "ours", "ours: sample + train", "floor", "ours / floor", "TRL / ours", "NSR / GRPO",
    "peak MiB TRL / before / ours",
)  # fmt: skip
TURN = dict[str, dict[str, Any]]


def show(found: dict[str, Any]) -> str:
    """The table of one measurement in Markdown."""
    rows = [_row(one) for one in found["measured"]]
    lines = [HEAD, ("---",) * len(HEAD), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def write_page(page: Path, files: Sequence[dict[str, Any]]) -> None:
    """Replaces what stands between the markers by the tables of these measurements, one a processor."""
    by_machine: dict[str, list[Any]] = {}
    for found in files:
        by_machine.setdefault(found["machine"]["processor"], []).extend(found["measured"])
    inside = "\n\n".join(f"{name}:\n\n{show({'measured': rows})}" for name, rows in by_machine.items())
    text = page.read_text(encoding="utf-8")
    pattern = re.compile(r"(<!-- side_by_side -->\n).*?(\n<!-- /side_by_side -->)", re.DOTALL)
    assert pattern.search(text), f"{page} has no place for the tables"
    page.write_text(pattern.sub(lambda place: f"{place[1]}{inside}{place[2]}", text), encoding="utf-8")


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    turns: list[TURN] = one["turns"]
    work = one["workload"]
    natural = bool(work["end"])

    def per(a: str, b: str, part: Callable[[dict[str, Any]], float] = lambda s: float(s["cpu"])) -> str:
        if a not in turns[0] or b not in turns[0]:
            return "–"
        ratios = [part(t[a]) / part(t[b]) * (_tokens(t[b]) / _tokens(t[a]) if natural else 1) for t in turns]
        return f"{median(ratios):.2f}"

    length = f"{median(_tokens(t['floor' if 'floor' in t else next(iter(t))]) for t in turns) / _samples(work):.0f} on average"
    return (
        f"{work['vocabulary']:,}, {length if natural else work['response']}",
        _spread(turns, "trl", lambda s: s["cpu"]),
        _spread(turns, "before", lambda s: s["cpu"]),
        _spread(turns, "ours", lambda s: s["cpu"]),
        " + ".join(_middle(turns, "ours", lambda s, stage=stage: s["stages"][stage]) for stage in ("sample", "train")),
        _spread(turns, "floor", lambda s: s["cpu"]),
        per("ours", "floor"),
        per("trl", "ours"),
        per("ours nsr", "ours", lambda s: float(s["stages"]["train"])),
        " / ".join(_middle(turns, name, lambda s: s["peak_mib"]) for name in ("trl", "before", "ours")),
    )


def _samples(work: dict[str, Any]) -> int:
    return int(work["prompts"] * work["group"])


def _tokens(step: dict[str, Any]) -> float:
    return float(step["tokens"]["generated"])


def _values(turns: list[TURN], side: str, part: Callable[[dict[str, Any]], float]) -> list[float]:
    return [float(part(t[side])) for t in turns if side in t]


def _middle(turns: list[TURN], side: str, part: Callable[[dict[str, Any]], float]) -> str:
    values = _values(turns, side, part)
    return _number(median(values)) if values else "–"


def _spread(turns: list[TURN], side: str, part: Callable[[dict[str, Any]], float]) -> str:
    """Median and range."""
    values = _values(turns, side, part)
    return f"{_number(median(values))} ({_number(min(values))}–{_number(max(values))})" if values else "–"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
