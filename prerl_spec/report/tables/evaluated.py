"""Responses of evaluations: those kept beside a score, and the questions that changed most between two places."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prerl_spec.report.tables.attempts import UNVERIFIED, ShownAttempt
from prerl_spec.report.tables.question_grids import Asked, Grid, Place

CHANGES_SHOWN = 2
"""Questions of each direction, for each pair of places."""


@dataclass(frozen=True)
class Change:
    """A question whose share of right responses moved between two places, with a response of each."""

    before: Place
    after: Place
    first: float
    second: float
    row: int
    responses: tuple[ShownAttempt | None, ShownAttempt | None]


def most_changed(grid: Grid) -> list[Change]:
    """For neighbouring places, the questions that rose and fell most, of those whose responses were kept; by the first seed.

    The response shown before a rise is a wrong one and after it a right one, before and after a fall the other way round,
    where there are such.
    """
    found: list[Change] = []
    for before, after in zip(grid.places, grid.places[1:], strict=False):
        kept = (responses_of(before.asked[0]), responses_of(after.asked[0]))
        shares = (before.asked[0].shares(), after.asked[0].shares())
        moved = [
            (shares[1][question] - shares[0][question], grid.row_of[question], question)
            for question in grid.questions
            if question in shares[0] and question in shares[1] and all(question in side for side in kept)
        ]
        rises = sorted((m for m in moved if m[0] > 0), key=lambda m: (-m[0], m[1]))[:CHANGES_SHOWN]
        falls = sorted((m for m in moved if m[0] < 0), key=lambda m: (m[0], m[1]))[:CHANGES_SHOWN]
        for change, row, question in [*rises, *falls]:
            wanted = ("wrong", "right") if change > 0 else ("right", "wrong")
            shown = (_like(kept[0][question], wanted[0]), _like(kept[1][question], wanted[1]))
            found.append(Change(before, after, shares[0][question], shares[1][question], row, shown))
    return found


def responses_of(asked: Asked) -> dict[str, list[ShownAttempt]]:
    """The kept responses by the id of their question; empty where none were kept, or in a form that is not read here.

    They are copies for people, without a check of their own: a line that is no response is passed over.
    """
    rows = {result.row: result.question for result in asked.results}
    known = set(rows.values())
    beginning = f"{asked.score.phase}-{asked.score.global_step:06d}-"
    plain = f"{beginning}{asked.score.task}.jsonl"
    for folder in (asked.run.folder / "evaluation" / "samples", asked.run.folder / "samples"):
        for file in sorted(folder.glob("*.jsonl")):
            if not file.name.startswith(beginning):
                continue
            found = _by_question(file, rows if file.name == plain else {})
            if found and found.keys() <= known:
                return found
    return {}


def _by_question(file: Path, rows: Mapping[int, str]) -> dict[str, list[ShownAttempt]]:
    """Lines without a question's id are those of the row that they name: `rows` has its question."""
    found: dict[str, list[ShownAttempt]] = {}
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if not isinstance(entry, dict) or not isinstance(entry.get("question"), int) or "response" not in entry:
            continue
        question = str(entry["id"]) if "id" in entry else rows.get(entry["question"])
        if question is not None:
            found.setdefault(question, []).append(_shown(entry, len(found.get(question, ()))))
    return found


def _shown(entry: Mapping[str, Any], sample: int) -> ShownAttempt:
    return ShownAttempt(
        slot=int(entry["question"]),
        sample=int(entry.get("sample", sample)),
        question=str(entry.get("input", "")),
        gold=str(entry.get("gold", "")),
        text=str(entry["response"]),
        stop=str(entry.get("stop") or "no sampling"),
        num_tokens=int(entry.get("tokens") or 0),
        outcome=str(entry.get("verdict") or UNVERIFIED),
        answer=entry.get("answer"),
        detail=str(entry.get("detail") or ""),
    )


def _like(attempts: Sequence[ShownAttempt], outcome: str) -> ShownAttempt | None:
    return next((a for a in attempts if a.outcome == outcome), attempts[0] if attempts else None)
