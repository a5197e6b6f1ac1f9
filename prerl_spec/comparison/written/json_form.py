"""A comparison as JSON; docs/compare.md describes the format."""

import json
from dataclasses import asdict
from typing import Any

from prerl_spec.comparison.findings import Comparison, Difference, Estimate, Table
from prerl_spec.comparison.written.words import mean

FORMAT = 1


def as_json(comparison: Comparison) -> str:
    """One object, indented; numbers are not rounded, what is not known is null."""
    return json.dumps(
        {
            "format": FORMAT,
            "title": comparison.title,
            "baseline": comparison.baseline,
            "paired_on": comparison.paired_on,
            "primary": comparison.primary,
            "family": comparison.family,
            "margin": comparison.margin,
            "notes": list(comparison.notes),
            "arms": [{"arm": a.arm, "seeds": list(a.seeds), "spent": dict(a.amounts)} for a in comparison.arms],
            "tables": [_table(table) for table in comparison.tables],
            "left_out": [{"what": what, "why": why} for what, why in comparison.left_out],
        },
        indent=1,
        ensure_ascii=False,
        allow_nan=False,
    )


def _table(table: Table) -> dict[str, Any]:
    return {
        "task": table.task,
        "metric": table.metric,
        "primary": table.is_primary,
        "lower_is_better": table.lower_is_better,
        "conditions": table.conditions,
        "baseline": {"value": mean(table.baseline_values), "by_seed": dict(table.baseline_values)},
        "arms": [_difference(difference) for difference in table.differences],
        "curves": [asdict(curve) for curve in table.curves],
        "threshold": table.threshold,
        "reached": [asdict(one) for one in table.reached],
    }


def _difference(difference: Difference) -> dict[str, Any]:
    return {
        "arm": difference.arm,
        "value": mean(difference.values),
        "by_seed": dict(difference.values),
        "baseline_by_seed": dict(difference.baseline_values),
        "over_seeds": _estimate(difference.by_seeds),
        "over_questions": _estimate(difference.by_questions),
        "why_not_over_questions": difference.why_no_questions or None,
        "at_equal": {axis: asdict(at) for axis, at in difference.axes.items()},
        "ends_alike": list(difference.ends_alike),
        "adjusted_p": difference.adjusted_p,
        "finding": asdict(difference.finding),
        "margin": difference.margin,
    }


def _estimate(estimate: Estimate | None) -> dict[str, Any] | None:
    if estimate is None:
        return None
    return {
        "unit": estimate.unit,
        "count": estimate.count,
        "difference": estimate.interval.value,
        "low": estimate.interval.low,
        "high": estimate.interval.high,
        "p": estimate.p_value,
        "detectable": estimate.detectable,
    }
