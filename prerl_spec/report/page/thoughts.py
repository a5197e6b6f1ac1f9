"""Counts of thoughts (reflection, change of approach) per phase, relative to the initial model, with the rule set."""

from collections.abc import Mapping, Sequence
from typing import Any

from prerl_spec.report.drawing.markup import Html, tag
from prerl_spec.report.tables.run_tables import RunRecord

PROBE = "thoughts"


def thoughts_cards(runs: Sequence[tuple[str, RunRecord]]) -> list[Html]:
    """One card per run that counted thoughts, from (its name in words, the run)."""
    tables = [(name, table) for name, run in runs if (table := _table(run)) is not None]
    titles = ["Thoughts relative to the start" + (f": {name}" if len(runs) > 1 else "") for name, _ in tables]
    return [tag("article", tag("h3", t), table, class_="card") for t, (_, table) in zip(titles, tables, strict=True)]


def thought_rules(value: Any) -> str | None:
    """The `rules` setting of the first component with `use = "thoughts"` anywhere in a plan."""
    children: Sequence[Any] = ()
    if isinstance(value, Mapping):
        if value.get("use") == PROBE:
            rules = value.get("rules", (value.get("settings") or {}).get("rules"))
            return None if rules is None else str(rules)
        children = list(value.values())
    elif isinstance(value, list):
        children = value
    return next((found for child in children if (found := thought_rules(child)) is not None), None)


def _table(run: RunRecord) -> Html | None:
    """Thoughts per response at the end of each phase, with the ratio to the initial model, and the name of the rule set.

    The initial model is that of the first sampled step, whose responses are counted before its update; a probe that
    measures less often is compared with its own first measurement, which the caption states.
    """
    kinds = {
        m: m.rpartition("/")[2].removeprefix(f"{PROBE}_") for s in run.steps for m in s.metrics if m.startswith(PROBE)
    }
    measured = [s for s in run.steps if any(m in s.metrics for m in kinds)]
    if not measured:
        return None
    start, rows = measured[0], [("start", measured[0])]
    rows += [(f"{p} ends", [s for s in measured if s.phase == p][-1]) for p in dict.fromkeys(s.phase for s in measured)]
    head = tag("tr", tag("th", ""), *(tag("th", kind) for kind in kinds.values()))
    body = [
        tag("tr", tag("th", name), *(tag("td", _with_ratio(s.metrics.get(m), start.metrics.get(m))) for m in kinds))
        for name, s in rows
    ]
    rules = thought_rules(run.plan) or "not recorded in plan.json"
    model = "the initial model" if start.step == 1 else "the first measured step"
    words = f"Mean count per response, and the ratio to {model} (global step {start.global_step}). Rule set: {rules}."
    return tag(
        "div", tag("div", tag("table", head, *body, class_="loose"), class_="scroll"), tag("p", words, class_="note")
    )


def _with_ratio(value: float | None, start: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f} ({value / start:.2f}×)" if start else f"{value:.3f} (-)"
