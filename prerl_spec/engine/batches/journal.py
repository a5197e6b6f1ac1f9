"""The journal: each step's rollouts and verdicts, written before training, so that a resumed run repeats no decision.

One file per sampling step, `journal/step-000017.jsonl`, one entry per line; appended, synced, never rewritten. A
supervised phase records only the rows of each step, in `journal/documents-PHASE.jsonl`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from prerl_spec.engine.record.json_lines import append_lines, cut_torn_line, whole_lines
from prerl_spec.types import Attempt, Group, Outcome, Prompt, Segment, Verdict


class Journal:
    """The journal of a run; every rank reads it, the main rank writes it."""

    def __init__(self, folder: Path, *, writes: bool) -> None:
        self.folder = folder
        self._writes = writes
        if writes:
            folder.mkdir(exist_ok=True)
            for file in folder.glob("documents-*.jsonl"):
                cut_torn_line(file)

    def open_step(self, phase: str, step: int, global_step: int) -> "StepJournal":
        """The journal of one step, with the entries that an interrupted process has written."""
        file = self.folder / f"step-{global_step:06d}.jsonl"
        return StepJournal(file, {"phase": phase, "step": step, "global_step": global_step}, writes=self._writes)

    def documents(self, phase: str, global_step: int, rows: Sequence[tuple[str, int]]) -> None:
        """Records the documents (data set, row) that a supervised step trains on."""
        if self._writes:
            append_lines(self.folder / f"documents-{phase}.jsonl", [{"global_step": global_step, "rows": rows}])


class StepJournal:
    """The file of one step; `groups` are its recorded groups by (refill round, slot), with verdicts if recorded."""

    def __init__(self, file: Path, header: Mapping[str, Any], *, writes: bool) -> None:
        self.groups: dict[tuple[int, int], Group] = {}
        self._file = file
        self._writes = writes
        kept = whole_lines(file)
        for line in kept:
            self._read(json.loads(line))
        if writes:
            cut_torn_line(file)
            if not kept:
                self._append([{"kind": "step", **header}])

    def _read(self, entry: Mapping[str, Any]) -> None:
        if entry["kind"] == "group":
            self.groups[(entry["refill"], entry["slot"])] = _group(entry)
        elif entry["kind"] == "verdicts":
            key = (entry["refill"], entry["slot"])
            verdicts = [Verdict(**{**v, "outcome": Outcome(v["outcome"])}) for v in entry["verdicts"]]
            self.groups[key] = with_verdicts(self.groups[key], verdicts, entry["rewards"])
        elif entry["kind"] == "refused":
            self.groups = {key: _unjudged(group) for key, group in self.groups.items()}

    def same_prompts(self, refill: int, prompts: Iterable[tuple[int, Prompt]]) -> dict[int, Group]:
        """The recorded groups of these prompts, by slot. Verdicts determine how many prompts a refill draws, so after
        they are computed again a slot may have another prompt; its recorded group is then not used."""
        found = {slot: (self.groups.get((refill, slot)), prompt) for slot, prompt in prompts}
        return {slot: group for slot, (group, prompt) in found.items() if group is not None and group.prompt == prompt}

    def record_generations(self, groups: Sequence[Group]) -> None:
        """Records the tokens of these groups, before they are verified."""
        self._append([_entry(g) for g in groups])

    def record_verdicts(self, groups: Sequence[Group]) -> None:
        """Records the verdicts and rewards of these groups, before they are trained on."""
        self._append(
            [
                {
                    "kind": "verdicts",
                    "refill": g.refill,
                    "slot": g.slot,
                    "verdicts": [asdict(a.verdict) for a in g.attempts if a.verdict is not None],
                    "rewards": [a.reward for a in g.attempts],
                }
                for g in groups
            ]
        )

    def record_rejection(self, reason: str) -> None:
        """Records that the run stopped on the verdicts so far; a resumed run ignores them."""
        self._append([{"kind": "refused", "reason": reason}])

    def _append(self, entries: Sequence[Mapping[str, Any]]) -> None:
        if self._writes and entries:
            append_lines(self._file, entries)


def with_verdicts(group: Group, verdicts: Sequence[Verdict], rewards: Sequence[float | None]) -> Group:
    """The group with a verdict and a reward for each attempt."""
    judged = zip(group.attempts, verdicts, rewards, strict=True)
    return replace(group, attempts=tuple(replace(a, verdict=v, reward=r) for a, v, r in judged))


def _unjudged(group: Group) -> Group:
    return replace(group, attempts=tuple(replace(a, verdict=None, reward=None) for a in group.attempts))


def _entry(group: Group) -> dict[str, Any]:
    prompt = group.prompt
    return {
        "kind": "group",
        "refill": group.refill,
        "slot": group.slot,
        "data": prompt.data,
        "row": prompt.row,
        "question": prompt.question,
        "gold": prompt.gold,
        "context": prompt.context,
        "attempts": [
            {"text": a.text, "stop": a.stop, "segments": [asdict(s) for s in a.segments]} for a in group.attempts
        ],
    }


def _group(entry: Mapping[str, Any]) -> Group:
    prompt = Prompt(entry["data"], entry["row"], entry["question"], entry["gold"], tuple(entry["context"]))
    attempts = tuple(Attempt(tuple(map(_segment, a["segments"])), a["text"], a["stop"]) for a in entry["attempts"])
    return Group(entry["slot"], prompt, attempts, entry["refill"])


def _segment(entry: Mapping[str, Any]) -> Segment:
    logps, entropies = entry["logps"], entry["entropies"]
    return Segment(
        tuple(entry["tokens"]),
        entry["author"],
        entry["trained"],
        None if logps is None else tuple(logps),
        None if entropies is None else tuple(entropies),
    )
