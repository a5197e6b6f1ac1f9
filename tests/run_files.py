"""Files of a run folder as a run writes them, for tests: checked events, sealed JSON, journals of frames."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from prerl_spec.storage.chained_lines import START, append_lines, read_lines
from prerl_spec.storage.disk import write_whole
from prerl_spec.storage.frames import Frame, append_frames, encoded, read_frames
from prerl_spec.storage.journal_frames import read_step_entries, step_file
from prerl_spec.storage.sealed import array_text, write_object
from prerl_spec.types import Group

__all__ = ["write_object"]


def write_events(file: Path, events: Iterable[Mapping[str, Any]]) -> None:
    """Replaces the file."""
    file.unlink(missing_ok=True)
    append_lines(file, events, START)


def write_scores(file: Path, scores: Sequence[Mapping[str, Any]]) -> None:
    write_whole(file, array_text(scores))


def score_again(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Replaces the scores of a run, in its events and in scores.json."""
    events = [e for e in read_lines(folder / "events.jsonl").entries if e["event"] != "evaluate"]
    evaluate = {
        "event": "evaluate",
        "phase": "base",
        "global_step": 0,
        "evaluator": 0,
        "use": "lm_eval",
        "seconds": 0.0,
    }
    write_events(folder / "events.jsonl", [{**evaluate, "scores": list(rows)}, *events])
    write_scores(folder / "scores.json", rows)


def groups_of(run: Path, step: int) -> dict[tuple[int, int], Group]:
    """The groups of a step's journal by (refill, slot)."""
    return dict(read_step_entries(step_file(run / "journal", step)).groups)


def frames_of(run: Path, step: int) -> list[Frame]:
    return list(read_frames(step_file(run / "journal", step)).frames)


def write_frames(file: Path, frames: Sequence[Frame]) -> None:
    """Replaces the file."""
    file.parent.mkdir(exist_ok=True)
    file.unlink(missing_ok=True)
    append_frames(file, frames, first=0)


def ends_of_frames(file: Path) -> list[int]:
    """The byte after each frame."""
    ends, at = [], 0
    for number, frame in enumerate(read_frames(file).frames):
        at += len(encoded(frame, number))
        ends.append(at)
    return ends
