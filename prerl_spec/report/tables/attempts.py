"""Reads attempts from the journal: question, gold answer, response, verdict, extracted answer."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from prerl_spec.report.tables.run_tables import json_lines

UNVERIFIED = "unverified"
"""The outcome of an attempt without a verdict yet (a run killed between sampling and verification)."""


@dataclass(frozen=True)
class JournalStep:
    """One step's journal: `JournalStep("prune", 3, 653, attempts=(...))`, in the order of sampling."""

    phase: str
    step: int
    global_step: int
    attempts: tuple["ShownAttempt", ...]

    def with_outcome(self, outcome: str | None) -> tuple["ShownAttempt", ...]:
        """The attempts of this outcome, all of them for None."""
        return tuple(a for a in self.attempts if outcome is None or a.outcome == outcome)


@dataclass(frozen=True)
class ShownAttempt:
    """One attempt; `slot` and `sample` locate it in its step, `num_tokens` includes EOS."""

    slot: int
    sample: int
    question: str | None
    gold: str | None
    text: str
    stop: str
    num_tokens: int
    outcome: str = UNVERIFIED
    answer: str | None = None
    detail: str = ""
    reward: float | None = None


def journal_files(run: Path) -> dict[int, Path]:
    """The journal's files by global step, ascending; empty for a run that has not sampled yet."""
    numbered = ((_NAME.fullmatch(file.name), file) for file in (run / "journal").glob("step-*.jsonl"))
    return dict(sorted((int(match.group(1)), file) for match, file in numbered if match))


def phase_of(file: Path) -> str | None:
    """The phase that a journal file belongs to, from its first line; None if that line is torn."""
    with file.open(encoding="utf-8", errors="replace") as lines:
        first = lines.readline()
    try:
        header = json.loads(first)
    except ValueError:
        return None
    return str(header["phase"]) if isinstance(header, dict) and "phase" in header else None


def read_step(file: Path) -> JournalStep:
    """One journal file; a torn last line is ignored. Raises RunFailed for any other line that is not valid JSON."""
    phase, step, global_step = "", 0, int(file.stem.split("-")[1])
    groups: dict[tuple[int, int], list[ShownAttempt]] = {}
    for entry in json_lines(file):
        key = (int(entry.get("refill", 0)), int(entry.get("slot", 0)))
        if entry.get("kind") == "group":
            groups[key] = list(_attempts(entry, key[1]))
        elif entry.get("kind") == "verdicts":
            groups[key] = list(_judged(groups.get(key, []), entry))
        elif "phase" in entry:
            phase, step = str(entry["phase"]), int(entry.get("step", 0))
            global_step = int(entry.get("global_step", global_step))
    return JournalStep(phase, step, global_step, tuple(a for group in groups.values() for a in group))


def first_and_last(run: Path, phases: Iterable[tuple[str, int, int]]) -> list[JournalStep]:
    """For each (phase, first global step, last global step) that sampled: its first and its last verified step."""
    files = journal_files(run)
    found: list[JournalStep] = []
    for _, first, last in phases:
        within = [k for k in files if first <= k <= last]
        start = _verified(files, within)
        end = _verified(files, within[::-1])
        found += [s for s in (start, end) if s is not None and s not in found]
    return found


def _verified(files: Mapping[int, Path], order: list[int]) -> JournalStep | None:
    for global_step in order:
        step = read_step(files[global_step])
        if any(a.outcome != UNVERIFIED for a in step.attempts):
            return step
    return None


def _attempts(entry: Mapping[str, Any], slot: int) -> Iterator[ShownAttempt]:
    for sample, attempt in enumerate(entry.get("attempts", [])):
        segments = attempt.get("segments") or [{"tokens": attempt.get("tokens", [])}]
        yield ShownAttempt(
            slot=slot,
            sample=sample,
            question=entry.get("question"),
            gold=entry.get("gold"),
            text=str(attempt.get("text", "")),
            stop=str(attempt.get("stop", "")),
            num_tokens=sum(len(s.get("tokens", [])) for s in segments),
        )


def _judged(attempts: list[ShownAttempt], entry: Mapping[str, Any]) -> Iterator[ShownAttempt]:
    verdicts = entry.get("verdicts", [])
    rewards = entry.get("rewards") or [None] * len(verdicts)
    for attempt, verdict, reward in zip(attempts, verdicts, rewards, strict=False):
        yield replace(
            attempt,
            outcome=str(verdict.get("outcome", UNVERIFIED)),
            answer=verdict.get("answer"),
            detail=str(verdict.get("detail") or ""),
            reward=reward,
        )


_NAME = re.compile(r"step-(\d+)\.jsonl")
