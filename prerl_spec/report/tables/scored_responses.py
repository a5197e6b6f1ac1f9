"""Responses to benchmarks, as `samples/` has them, shown like a run's attempts."""

import json
from collections.abc import Mapping
from typing import Any

from prerl_spec.report.tables.attempts import UNVERIFIED, ShownAttempt

OF_A_RESPONSE = (
    *("id", "question", "sample", "input", "gold", "response", "tokens", "stop", "verdict", "answer", "detail"),
)
"""Keys of a line that every sampled response has."""


def shown(line: Mapping[str, Any]) -> ShownAttempt:
    """A line as an attempt: its question's row in place of the slot. Other keys than those of a response stand in `detail`."""
    more = further_values(line)
    detail = "; ".join(text for text in (str(line.get("detail") or ""), more) if text)
    return ShownAttempt(
        slot=int(line.get("question", 0)),
        sample=int(line.get("sample", 0)),
        question=line.get("input"),
        gold=line.get("gold"),
        text=str(line.get("response") or ""),
        stop=str(line.get("stop") or "no sampling"),
        num_tokens=int(line.get("tokens") or 0),
        outcome=str(line.get("verdict") or UNVERIFIED),
        answer=line.get("answer"),
        detail=detail,
    )


def further_values(line: Mapping[str, Any]) -> str:
    """The line's other keys as JSON; "" if there are none."""
    more = {name: value for name, value in line.items() if name not in OF_A_RESPONSE and value not in (None, {}, [])}
    return json.dumps(more) if more else ""
