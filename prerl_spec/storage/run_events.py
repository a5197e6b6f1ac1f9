"""What the events of a run say, for every reader of events.jsonl."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from prerl_spec.errors import Damaged
from prerl_spec.storage.chained_lines import Lines, read_lines
from prerl_spec.storage.sealed import read_object

EVENTS = "events.jsonl"
MANIFEST = "manifest.json"
HEAD = "events"
"""Key of manifest.json and of a checkpoint's state: {"count", "chain"} of the events at that time."""


def head_of(lines: Lines) -> dict[str, Any]:
    """How many events there are, and the chain after them."""
    return {"count": len(lines.entries), "chain": lines.head}


def begins_with(lines: Lines, head: Mapping[str, Any]) -> bool:
    """Whether the first events are those of a head."""
    count: int = head["count"]
    return count == 0 or (count <= len(lines.chains) and lines.chains[count - 1] == str(head["chain"]))


def read_run_events(folder: Path) -> Lines:
    """The events of a run, held against the head in its manifest. Raises Damaged."""
    file = folder / EVENTS
    lines = read_lines(file)
    try:
        head = read_object(folder / MANIFEST).get(HEAD)
    except FileNotFoundError:
        head = None
    if head is not None and not begins_with(lines, head):
        raise Damaged(f"{file}: not the {head['count']} events that {MANIFEST} was written after", file=file)
    return lines


def scores_of(events: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows of scores.json: all scores so far, a later one in place of an earlier one of the same key."""
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for event in events:
        for score in event["scores"] if event["event"] == "evaluate" else ():
            key = tuple(score.get(name) for name in ("phase", "global_step", "task", "metric", "seed"))
            rows[*key, event["evaluator"]] = score
    return list(rows.values())


def amount_taken(steps: Iterable[Mapping[str, Any]], match: str) -> float:
    """What these `step` events took of what a study's `match` counts: tokens generated or trained on, steps, or seconds of
    training. An evaluation counts for none of them."""
    if match == "steps":
        return sum(1 for _ in steps)
    if match == "seconds":
        # Exact, whatever the order: a sum that rounds could end a resumed run at another step.
        return math.fsum(step["seconds"]["total"] for step in steps)
    return float(sum(step["tokens"][match.removesuffix("_tokens")] for step in steps))


def was_cut(events: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a run whose plan has a budget has reached it."""
    return any(event["event"] == "cut" for event in events)


def require_known_scores(file: Path, rows: Sequence[Mapping[str, Any]], events: Iterable[Mapping[str, Any]]) -> None:
    """Raises Damaged for a row of scores.json that no event has. Rows may be missing: a kill between an evaluation's event
    and the file leaves them out until the run resumes."""
    known = {json.dumps(row) for row in scores_of(events)}
    unknown = [number for number, row in enumerate(rows) if json.dumps(row) not in known]
    if unknown:
        raise Damaged(f"{file}: entry {unknown[0]} is not a score of {EVENTS}", file=file)
