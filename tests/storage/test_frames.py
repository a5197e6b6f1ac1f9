"""Frames come back exactly; every changed byte, missing frame and torn tail is told apart."""

from pathlib import Path

import numpy as np
import pytest

from prerl_spec.errors import Damaged
from prerl_spec.storage.frames import (
    Frame,
    FrameKind,
    append_frames,
    cut_torn_frame,
    encoded,
    first_frame,
    read_frames,
)

FRAMES = [
    Frame(FrameKind.STEP, {"phase": "prune", "step": 1}),
    Frame(
        FrameKind.GROUP,
        {"text": "lone \ud83d surrogate", "gold": None},
        {"tokens": np.array([1, -5, 2**31 - 1], "<i4"), "logps": np.array([-1 / 3, 0.0])},
    ),
    Frame(FrameKind.VERDICTS, {"rewards": [1.0, None, 1 / 3]}),
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    append_frames(tmp_path / "a.journal", FRAMES[:1], first=0)
    append_frames(tmp_path / "a.journal", FRAMES[1:], first=1)
    return tmp_path / "a.journal"


def test_frames_come_back_exactly(file: Path) -> None:
    found = read_frames(file)
    assert [(f.kind, f.header) for f in found.frames] == [(f.kind, f.header) for f in FRAMES]
    assert found.frames[1].arrays["tokens"].tolist() == [1, -5, 2**31 - 1]
    assert found.frames[1].arrays["logps"].tolist() == [-1 / 3, 0.0]
    assert (found.size, found.torn) == (file.stat().st_size, False)
    first = first_frame(file)
    assert first is not None
    assert first.header == FRAMES[0].header


def test_every_flipped_bit_is_damage_and_names_its_frame(file: Path) -> None:
    whole = file.read_bytes()
    sizes = [len(encoded(frame, n)) for n, frame in enumerate(FRAMES)]
    starts = np.cumsum([0, *sizes])
    for at in range(len(whole)):
        for bit in range(8):
            changed = bytearray(whole)
            changed[at] ^= 1 << bit
            file.write_bytes(changed)
            frame = int(np.searchsorted(starts, at, side="right")) - 1
            with pytest.raises(Damaged, match=rf"a\.journal: frame {frame} at byte {starts[frame]} is damaged"):
                read_frames(file)


def test_a_torn_tail_is_dropped_at_every_length_and_zeros_are_torn_too(file: Path) -> None:
    whole = file.read_bytes()
    ends = np.cumsum([len(encoded(frame, n)) for n, frame in enumerate(FRAMES)])
    for cut in range(len(whole)):
        file.write_bytes(whole[:cut])
        found = read_frames(file)
        assert len(found.frames) == sum(ends <= cut)
        assert found.torn == (cut not in (0, *ends))
        cut_torn_frame(file, found)
        assert file.stat().st_size == found.size
    file.write_bytes(whole[: ends[1]] + b"\0" * 40)
    assert len(read_frames(file).frames) == 2, "blocks that were allocated and never written"


def test_a_missing_and_a_repeated_frame_are_damage(file: Path) -> None:
    parts = [encoded(frame, n) for n, frame in enumerate(FRAMES)]
    for order in ([0, 2], [0, 1, 1, 2], [1, 0, 2]):
        file.write_bytes(b"".join(parts[n] for n in order))
        with pytest.raises(Damaged, match="frames are missing or repeated"):
            read_frames(file)
