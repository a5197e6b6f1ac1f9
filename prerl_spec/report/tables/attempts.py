"""Reads attempts from the journal: question, gold answer, response, verdict, extracted answer."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from prerl_spec.report.formatting.scales import short
from prerl_spec.storage.frames import first_frame
from prerl_spec.storage.journal_frames import SUFFIX, read_step_entries
from prerl_spec.types import Attempt, Group

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
    """One attempt; `slot` and `sample` locate it in its step, `num_tokens` includes EOS. `parts` are what its reward is the
    sum of, empty where an earlier version has recorded the sum alone."""

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
    parts: Mapping[str, float] = field(default_factory=dict)

    @property
    def sum_of(self) -> str:
        """The parts of a reward in words: "verdict 1, overlong_penalty -0.25"; "" for a reward that is the score."""
        if self.reward is not None and not self.parts:
            return "parts not recorded: written by an earlier version"
        terms = self.parts if len(self.parts) > 1 else {}
        return ", ".join(f"{name} {short(value)}" for name, value in terms.items())


def journal_files(run: Path) -> dict[int, Path]:
    """The journal's files by global step, ascending; empty for a run that has not sampled yet."""
    numbered = ((_NAME.fullmatch(file.name), file) for file in (run / "journal").glob(f"step-*{SUFFIX}"))
    return dict(sorted((int(match.group(1)), file) for match, file in numbered if match))


def phase_of(file: Path) -> str | None:
    """The phase that a journal file belongs to; None if its first frame is torn. Raises Damaged."""
    first = first_frame(file)
    return None if first is None else str(first.header["phase"])


def read_step(file: Path) -> JournalStep:
    """One journal file; a torn last frame is ignored. Raises Damaged."""
    entries = read_step_entries(file)
    attempts = (
        _shown(group, sample, attempt)
        for group in entries.groups.values()
        for sample, attempt in enumerate(group.attempts)
    )
    header = entries.header
    return JournalStep(
        phase=str(header.get("phase", "")),
        step=int(header.get("step", 0)),
        global_step=int(header.get("global_step", file.stem.removeprefix("step-"))),
        attempts=tuple(attempts),
    )


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


def _shown(group: Group, sample: int, attempt: Attempt) -> ShownAttempt:
    shown = ShownAttempt(
        slot=group.slot,
        sample=sample,
        question=group.prompt.question,
        gold=group.prompt.gold,
        text=attempt.text,
        stop=attempt.stop,
        num_tokens=len(attempt.tokens),
        reward=attempt.reward,
        parts=attempt.parts,
    )
    verdict = attempt.verdict
    if verdict is None:
        return shown
    return replace(shown, outcome=str(verdict.outcome), answer=verdict.answer, detail=verdict.detail)


_NAME = re.compile(rf"step-(\d+){re.escape(SUFFIX)}")
