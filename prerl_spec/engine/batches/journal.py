"""The journal: each step's rollouts and verdicts, written before training, so that a resumed run repeats no decision.

One file per sampling step, `journal/step-000017.journal`, of frames (storage/frames.py); appended, synced, never rewritten.
A supervised phase records only the rows of each step, in `journal/documents-PHASE.journal`.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from prerl_spec.engine.processes.disk_errors import translate_disk_errors
from prerl_spec.errors import Damaged
from prerl_spec.storage.checks import sha256_start
from prerl_spec.storage.disk import make_folder
from prerl_spec.storage.frames import Frame, append_frames, cut_torn_frame, read_frames
from prerl_spec.storage.journal_frames import (
    SUFFIX,
    documents_frame,
    documents_of,
    group_frame,
    read_step_entries,
    rejection_frame,
    step_file,
    step_frame,
    verdicts_frame,
)
from prerl_spec.types import Group, Prompt


class Journal:
    """The journal of a run; every rank reads it, the main rank writes it. Raises Damaged."""

    def __init__(self, folder: Path, *, writes: bool, trained_on: Mapping[int, str] | None = None) -> None:
        """`trained_on` holds the hash (`check`) of each journal file that the run's events say a step was trained on."""
        self.folder = folder
        self._trained_on = trained_on or {}
        self._writes = writes
        self._documents: dict[str, _DocumentsFile] = {}
        if old := sorted([*folder.glob("step-*.jsonl"), *folder.glob("documents-*.jsonl")]):
            raise Damaged(
                f"{old[0]} was written by an earlier version of prerl-spec, whose journals have no checksums",
                file=old[0],
                hint="finish the run with the version that started it, or start a new run",
            )
        if writes:
            with translate_disk_errors(folder.name):
                make_folder(folder)

    def open_step(self, phase: str, step: int, global_step: int) -> "StepJournal":
        """The journal of one step, with the entries that an interrupted process has written."""
        header = {"phase": phase, "step": step, "global_step": global_step}
        file = step_file(self.folder, global_step)
        self._require_what_was_trained_on(file, self._trained_on.get(global_step))
        return StepJournal(file, header, writes=self._writes)

    def _require_what_was_trained_on(self, file: Path, check: str | None) -> None:
        """Raises Damaged if a step is about to be taken again with other verdicts. One whose journal was put aside, as
        NAME.bad, is sampled again."""
        if check is None or any(file.parent.glob(f"{file.name}*.bad")):
            return
        if not file.is_file():
            raise Damaged(f"{file} is missing, and its step was trained on it", file=file)
        if sha256_start(file.read_bytes()) != check:
            raise Damaged(f"{file}: not what its step was trained on", file=file)

    def check(self, global_step: int) -> str | None:
        """A hash of the step's file, on the rank that writes; None for a step that samples nothing."""
        file = step_file(self.folder, global_step)
        return sha256_start(file.read_bytes()) if self._writes and file.is_file() else None

    def documents(self, phase: str, global_step: int, rows: Sequence[tuple[str, int]]) -> None:
        """Records the documents (data set, row) that a supervised step trains on; once, if the step is repeated."""
        if not self._writes:
            return
        if phase not in self._documents:
            self._documents[phase] = _DocumentsFile(self.folder / f"documents-{phase}{SUFFIX}")
        self._documents[phase].record(global_step, list(rows))


class StepJournal:
    """The file of one step; `groups` are its recorded groups by (refill round, slot), with verdicts if recorded."""

    def __init__(self, file: Path, header: Mapping[str, Any], *, writes: bool) -> None:
        entries = read_step_entries(file)
        if entries.header and dict(entries.header) != dict(header):
            raise Damaged(f"{file} is the journal of {dict(entries.header)}, not of {dict(header)}", file=file)
        self.groups = dict(entries.groups)
        self._file = file
        self._writes = writes
        self._count = len(entries.file.frames)
        if writes:
            cut_torn_frame(file, entries.file)
            if not entries.file.frames:
                self._append([step_frame(header)])

    def same_prompts(self, refill: int, prompts: Iterable[tuple[int, Prompt]]) -> dict[int, Group]:
        """The recorded groups of these prompts, by slot. Verdicts determine how many prompts a refill draws, so after
        they are computed again a slot may have another prompt; its recorded group is then not used."""
        found = {slot: (self.groups.get((refill, slot)), prompt) for slot, prompt in prompts}
        return {slot: group for slot, (group, prompt) in found.items() if group is not None and group.prompt == prompt}

    def record_generations(self, groups: Sequence[Group]) -> None:
        """Records the tokens of these groups, before they are verified."""
        self._append([group_frame(g) for g in groups])

    def record_verdicts(self, groups: Sequence[Group]) -> None:
        """Records the verdicts and rewards of these groups, before they are trained on."""
        self._append([verdicts_frame(g) for g in groups])

    def record_rejection(self, reason: str) -> None:
        """Records that the run stopped on the verdicts so far; a resumed run ignores them."""
        self._append([rejection_frame(reason)])

    def _append(self, frames: Sequence[Frame]) -> None:
        if self._writes and frames:
            with translate_disk_errors(self._file.name):
                append_frames(self._file, frames, first=self._count)
            self._count += len(frames)


class _DocumentsFile:
    """The rows of a supervised phase, one frame a step."""

    def __init__(self, file: Path) -> None:
        found = read_frames(file)
        cut_torn_frame(file, found)
        self._file = file
        self._count = len(found.frames)
        self._rows = dict(map(documents_of, found.frames))

    def record(self, global_step: int, rows: list[tuple[str, int]]) -> None:
        if self._rows.get(global_step) == rows:
            return
        with translate_disk_errors(self._file.name):
            append_frames(self._file, [documents_frame(global_step, rows)], first=self._count)
        self._count += 1
        self._rows[global_step] = rows
