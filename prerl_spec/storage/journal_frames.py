"""The frames of a step's journal: groups with their tokens, then their verdicts; and how a file of them is read.

Token ids are int32. Log-probabilities and entropies are float32 where that is exact, else float64: what comes back is equal
to the last bit.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from prerl_spec.errors import Damaged
from prerl_spec.storage.frames import AnyArray, Frame, FrameFile, FrameKind, read_frames
from prerl_spec.types import VERDICT_PART, Attempt, Group, Outcome, Prompt, Segment, Verdict

SUFFIX = ".journal"


@dataclass(frozen=True)
class StepEntries:
    """What a step's journal says: its header, its groups by (refill round, slot), with verdicts where these are recorded,
    and the file that was read."""

    header: Mapping[str, Any]
    groups: Mapping[tuple[int, int], Group]
    file: FrameFile


def step_file(folder: Path, global_step: int) -> Path:
    """The file of one step in the journal's folder."""
    return folder / f"step-{global_step:06d}{SUFFIX}"


def read_step_entries(file: Path) -> StepEntries:
    """Reads a step's journal; no groups if there is no file. Raises Damaged."""
    found = read_frames(file)
    header: Mapping[str, Any] = {}
    groups: dict[tuple[int, int], Group] = {}
    for number, frame in enumerate(found.frames):
        if frame.kind is FrameKind.STEP:
            header = frame.header
        elif frame.kind is FrameKind.GROUP:
            group = _group(frame)
            groups[group.refill, group.slot] = group
        elif frame.kind is FrameKind.VERDICTS:
            key = (frame.header["refill"], frame.header["slot"])
            if key not in groups:
                raise Damaged(f"{file}: frame {number} judges a group that is not in the file", file=file)
            groups[key] = _judged(groups[key], frame.header)
        elif frame.kind is FrameKind.REJECTION:
            groups = {key: without_verdicts(group) for key, group in groups.items()}
        else:
            raise Damaged(f"{file}: frame {number} is of kind {frame.kind.name}, not of a step", file=file)
    if header and file != step_file(file.parent, header["global_step"]):
        raise Damaged(f"{file} is the journal of step {header['global_step']}", file=file)
    return StepEntries(header, groups, found)


def step_frame(header: Mapping[str, Any]) -> Frame:
    """The first frame of a step's file."""
    return Frame(FrameKind.STEP, header)


def group_frame(group: Group) -> Frame:
    """A group's prompt and responses, without verdicts."""
    prompt, segments = group.prompt, [s for a in group.attempts for s in a.segments]
    header = {
        "refill": group.refill,
        "slot": group.slot,
        "data": prompt.data,
        "row": prompt.row,
        "question": prompt.question,
        "gold": prompt.gold,
        "attempts": [
            {"text": a.text, "stop": a.stop, "segments": [_segment_header(s) for s in a.segments]}
            for a in group.attempts
        ],
    }
    arrays: dict[str, AnyArray] = {
        "context": np.asarray(prompt.context, dtype="<i4"),
        "tokens": np.asarray([t for s in segments for t in s.tokens], dtype="<i4"),
        "logps": _floats(s.logps for s in segments),
        "entropies": _floats(s.entropies for s in segments),
    }
    return Frame(FrameKind.GROUP, header, arrays)


def verdicts_frame(group: Group) -> Frame:
    """A group's verdicts and rewards, with the terms that rewards are the sum of, where there are any beside the score."""
    verdicts = [a.verdict for a in group.attempts if a.verdict is not None]
    header: dict[str, Any] = {
        "refill": group.refill,
        "slot": group.slot,
        "verdicts": [verdict_fields(v) for v in verdicts],
        "rewards": [a.reward for a in group.attempts],
    }
    if terms := [name for name in dict.fromkeys(n for a in group.attempts for n in a.parts) if name != VERDICT_PART]:
        header["parts"] = {name: [a.parts.get(name) for a in group.attempts] for name in terms}
    return Frame(FrameKind.VERDICTS, header)


def rejection_frame(reason: str) -> Frame:
    """The run stopped on the verdicts so far: they do not count."""
    return Frame(FrameKind.REJECTION, {"reason": reason})


def documents_frame(global_step: int, rows: Sequence[tuple[str, int]]) -> Frame:
    """The documents (data set, row) of a supervised step."""
    names = list(dict.fromkeys(name for name, _ in rows))
    arrays: dict[str, AnyArray] = {
        "name": np.asarray([names.index(name) for name, _ in rows], dtype="<u2"),
        "row": np.asarray([row for _, row in rows], dtype="<i8"),
    }
    return Frame(FrameKind.DOCUMENTS, {"global_step": global_step, "names": names}, arrays)


def documents_of(frame: Frame) -> tuple[int, list[tuple[str, int]]]:
    """The global step and the documents of a frame."""
    names = frame.header["names"]
    pairs = zip(frame.arrays["name"].tolist(), frame.arrays["row"].tolist(), strict=True)
    return frame.header["global_step"], [(names[name], row) for name, row in pairs]


def with_verdicts(
    group: Group,
    verdicts: Sequence[Verdict],
    rewards: Sequence[float | None],
    terms: Mapping[str, Sequence[float | None]] | None = None,
) -> Group:
    """The group with a verdict and a reward for each attempt; `terms` are what rewards are made of beside the score, by
    name. A reward that is another number than its score, without terms, has no known parts."""
    attempts = []
    for number, (attempt, verdict, reward) in enumerate(zip(group.attempts, verdicts, rewards, strict=True)):
        parts: dict[str, float] = {}
        if reward is not None and verdict.score is not None and (terms is not None or reward == verdict.score):
            found = {VERDICT_PART: verdict.score, **{name: values[number] for name, values in (terms or {}).items()}}
            parts = {name: value for name, value in found.items() if value is not None}
        attempts.append(replace(attempt, verdict=verdict, reward=reward, parts=parts))
    return replace(group, attempts=tuple(attempts))


def without_verdicts(group: Group) -> Group:
    """The group as it was sampled."""
    return replace(group, attempts=tuple(replace(a, verdict=None, reward=None, parts={}) for a in group.attempts))


def verdict_fields(verdict: Verdict) -> list[Any]:
    """A verdict as plain values; `by_answer` only where it holds, so that all others have the form of earlier versions."""
    fields = [str(verdict.outcome), verdict.score, verdict.answer, verdict.detail]
    return [*fields, True] if verdict.by_answer else fields


def verdict_of(fields: Sequence[Any]) -> Verdict:
    """The verdict of these plain values."""
    outcome, *rest = fields
    return Verdict(Outcome(outcome), *rest)


def _judged(group: Group, header: Mapping[str, Any]) -> Group:
    verdicts = [verdict_of(fields) for fields in header["verdicts"]]
    return with_verdicts(group, verdicts, header["rewards"], header.get("parts"))


def _segment_header(segment: Segment) -> list[Any]:
    return [
        len(segment.tokens),
        segment.author,
        segment.trained,
        segment.logps is not None,
        segment.entropies is not None,
    ]


def _floats(parts: Iterable[Sequence[float] | None]) -> AnyArray:
    values = np.asarray([x for part in parts if part is not None for x in part], dtype="<f8")
    single = values.astype("<f4")
    return single if np.array_equal(single.astype("<f8"), values) else values


def _group(frame: Frame) -> Group:
    header = frame.header
    context = tuple(frame.arrays["context"].tolist())
    prompt = Prompt(header["data"], header["row"], header["question"], header["gold"], context)
    take = {name: _taker(frame.arrays[name].tolist()) for name in ("tokens", "logps", "entropies")}

    def segment(length: int, author: Any, trained: bool, has_logps: bool, has_entropies: bool) -> Segment:
        return Segment(
            take["tokens"](length),
            author,
            trained,
            take["logps"](length) if has_logps else None,
            take["entropies"](length) if has_entropies else None,
        )

    attempts = tuple(
        Attempt(tuple(segment(*fields) for fields in a["segments"]), a["text"], a["stop"]) for a in header["attempts"]
    )
    return Group(header["slot"], prompt, attempts, header["refill"])


def _taker(values: list[Any]) -> Callable[[int], tuple[Any, ...]]:
    """Takes the next so many values at each call."""
    rest = iter(values)
    return lambda count: tuple(islice(rest, count))
